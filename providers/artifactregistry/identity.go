package artifactregistry

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"cloud.google.com/go/compute/metadata"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	// annotationServiceAccount is that of GKE's workload identity federation.
	annotationServiceAccount = "iam.gke.io/gcp-service-account"
	// envCredentials names the file of the application default credentials.
	envCredentials = "GOOGLE_APPLICATION_CREDENTIALS"

	defaultLifetime = time.Hour
	maxLifetime     = 12 * time.Hour

	// renewal is how long before the end of a token the metadata server is sure to have another. It repeats a token until 4 to 5 minutes
	// before its end, and Google's own clients ask 3 min 45 s before (defaultExpiryDelta of cloud.google.com/go/auth).
	renewal = 3*time.Minute + 45*time.Second

	controller = "the controller's own identity"
)

// target is a service account to impersonate.
type target struct {
	email    string
	lifetime time.Duration
}

// An email becomes part of a URL, so nothing else may pass for one.
var email = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*@[a-z0-9][a-z0-9.-]*\.gserviceaccount\.com$`)

// targets are the service accounts that the entry or the ServiceAccount's annotation wants impersonated: one or none.
func (c *call) targets() ([]target, error) {
	name := c.spec.ServiceAccount
	if sa := c.id.ServiceAccount; name == "" && sa != nil {
		name = sa.Annotations[annotationServiceAccount]
		if name != "" && !email.MatchString(name) {
			return nil, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the annotation %s of %s is not the email of a Google service account: "+
				"correct it, such as to pull@my-project.iam.gserviceaccount.com", annotationServiceAccount, sa)
		}
	}
	lifetime := c.spec.TokenLifetime.Duration()
	switch {
	case name == "" && lifetime != 0:
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.tokenLifetime is that of an impersonated service account, and none is named: "+
			"set artifactRegistry.serviceAccount, or remove tokenLifetime")
	case name == "":
		return nil, nil
	case !email.MatchString(name):
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.serviceAccount is not the email of a Google service account: "+
			"correct it, such as to pull@my-project.iam.gserviceaccount.com")
	case lifetime < 0 || lifetime > maxLifetime:
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.tokenLifetime must be from 10m to 12h")
	case lifetime == 0:
		lifetime = defaultLifetime
	}
	return []target{{name, lifetime}}, nil
}

// source gets the token of the identity itself, and the service accounts that its own configuration wants impersonated.
func (c *call) source(ctx context.Context) (accessToken, []target, error) {
	switch {
	case c.id.ServiceAccount != nil:
		token, err := c.federated(ctx)
		return token, nil, err
	case c.id.Secret != nil:
		return c.secret(ctx)
	case os.Getenv(envCredentials) != "":
		token, err := c.file(ctx)
		return token, nil, err
	default:
		token, err := c.instance(ctx)
		return token, nil, err
	}
}

// file gets a token with the application default credentials in a file. Whoever runs the controller has put it there, so it may use
// every source of credentials that the SDK knows.
func (c *call) file(ctx context.Context) (accessToken, error) {
	client := c.client(c.apis)
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{c.scope(!c.impersonates)}, UniverseDomain: c.universe, Client: client, Logger: silent})
	if err != nil {
		return accessToken{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the credentials that %s of the controller names cannot be read: "+
			"it must be a file in the pod, with a service account key or an external account configuration", envCredentials)
	}
	token, err := creds.Token(ctx)
	if err != nil {
		return accessToken{}, c.explainFile(err)
	}
	expiresAt := c.lasting(token)
	var configuration struct {
		Email         string `json:"client_email"`
		Impersonation string `json:"service_account_impersonation_url"`
	}
	if json.Unmarshal(creds.JSON(), &configuration) == nil && configuration.Impersonation != "" {
		expiresAt = c.ending(token)
	}
	return accessToken{value: token.Value, expiresAt: expiresAt, holder: controller, member: member(configuration.Email)}, nil
}

// instance gets the token of the node, or on GKE of the controller's ServiceAccount, from the metadata server. It does not go by
// metadata.OnGCE, which remembers for ever that the server did not answer: on GKE it is late in a new pod.
func (c *call) instance(ctx context.Context) (accessToken, error) {
	if !c.metadata().OnGCEWithContext(ctx) {
		if ctx.Err() != nil {
			return accessToken{}, explainMetadata(ctx.Err())
		}
		return accessToken{}, noIdentity()
	}
	before := c.clock.Now()
	text, err := c.metadata().GetWithContext(ctx, "instance/service-accounts/default/token")
	if err != nil {
		return accessToken{}, explainMetadata(err)
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil || answer.Token == "" || answer.ExpiresIn <= 0 {
		return accessToken{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "the metadata server answered without a token: check GCE_METADATA_HOST")
	}
	expiresAt := before.Add(time.Duration(answer.ExpiresIn) * time.Second)
	return accessToken{value: answer.Token, expiresAt: expiresAt, renewableAt: expiresAt.Add(-renewal), holder: controller}, nil
}

func (c *call) metadata() *metadata.Client {
	return metadata.NewClient(c.client(c.local))
}

// impersonate gets a token of the service account with the token of whoever may create one.
func (c *call) impersonate(ctx context.Context, source accessToken, t target, scope string) (accessToken, error) {
	creds, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: t.email, Scopes: []string{scope}, Lifetime: t.lifetime, Credentials: c.universeOnly(), Logger: silent,
		Client: &http.Client{Transport: bearer{source.value, c.client(c.apis).Transport}},
	})
	if err != nil {
		return accessToken{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s cannot be impersonated for %s: check serviceAccount and tokenLifetime", t.email, t.lifetime)
	}
	token, err := creds.Token(ctx)
	if err != nil {
		return accessToken{}, explainImpersonation(source, t, err)
	}
	return accessToken{value: token.Value, expiresAt: c.ending(token), holder: t.email, member: member(t.email)}, valid(token)
}

// universeOnly tells the SDK the universe, and nothing else: the client shows the token.
func (c *call) universeOnly() *auth.Credentials {
	universe := func(context.Context) (string, error) { return c.universe, nil }
	return auth.NewCredentials(&auth.CredentialsOptions{UniverseDomainProvider: auth.CredentialsPropertyFunc(universe)})
}

func valid(t *auth.Token) error {
	if t.Value == "" {
		return providers.Errorf(v1alpha1.ReasonInvalidResponse, "Google answered without a token: check any proxy in between")
	}
	return nil
}

// member is a service account's name in IAM.
func member(email string) string {
	if email == "" {
		return ""
	}
	return "serviceAccount:" + email
}
