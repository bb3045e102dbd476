package artifactory_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

const (
	issuer  = "https://cluster.example"
	subject = "system:serviceaccount:team-a:puller"
)

// startJFrog starts a platform with an administrator, a user who may read docker-local, and an integration that takes the tokens of the
// ServiceAccount team-a/puller for this user.
func startJFrog(t *testing.T, opts cloud.JFrogOptions) *cloud.JFrog {
	t.Helper()
	jfrog, err := cloud.StartJFrog(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = jfrog.Close() })
	jfrog.AddUser(cloud.JFrogUser{Name: "admin", Admin: true})
	jfrog.AddUser(cloud.JFrogUser{Name: "puller", Groups: []string{"readers"}})
	jfrog.SetReadable("readers", "docker-local")
	jfrog.ServePort("5001", "docker-local")
	jfrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: jfrog.URL(), Mappings: []cloud.JFrogIdentityMapping{
		{Name: "team-a", Claims: map[string]string{"sub": subject}, Username: "puller"},
	}})
	return jfrog
}

// newProvider is one to which the administrator has bound an audience and a platform for roles of AWS.
func newProvider(t *testing.T, transport http.RoundTripper) *artifactory.Provider {
	t.Helper()
	p, err := artifactory.New(clock.RealClock{}, artifactory.Options{
		Audiences: []string{"https://acme.jfrog.io=jfrog"}, AWSPlatforms: []string{"https://artifactory.acme.example"},
		AWS: awsauth.NewConfiguration(nil), Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(spec v1alpha1.Artifactory, id providers.Identity) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", Artifactory: &spec}, Identity: id}
}

// serviceAccount asks a cluster for its tokens, which live for longer than is asked for, as those of a cluster that extends them do; the
// audiences asked for are noted.
func serviceAccount(t *testing.T, audiences *[]string) providers.Identity {
	t.Helper()
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller", UID: "1",
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			if lifetime < 10*time.Minute {
				t.Errorf("a token of %s was asked for; Kubernetes grants no less than 10m", lifetime)
			}
			if audiences != nil {
				*audiences = append(*audiences, audience)
			}
			return cloud.WebIdentityToken(issuer, subject, audience, time.Now().Add(max(lifetime, time.Hour)))
		},
	}}
}

func secret(token *string) providers.Identity {
	return providers.Identity{Secret: &providers.Secret{
		Namespace: "team-a", Name: "jfrog", DataHash: "1",
		Data: func(context.Context) (map[string][]byte, error) {
			if token == nil {
				return nil, nil
			}
			return map[string][]byte{"token": []byte(*token)}, nil
		},
	}}
}

func tokenOf(t *testing.T, jfrog *cloud.JFrog, req providers.Request) providers.Token {
	t.Helper()
	token, err := newProvider(t, jfrog.Transport()).Token(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// last is the token that the platform has issued last, without what differs from run to run.
func last(jfrog *cloud.JFrog) cloud.JFrogToken {
	tokens := jfrog.Tokens()
	return tokens[len(tokens)-1]
}

func TestTheIntegrationIsAskedForATokenOfItsMapping(t *testing.T) {
	for name, c := range map[string]struct {
		spec     v1alpha1.Artifactory
		audience string
		mapping  string
	}{
		"as JFrog chooses": {v1alpha1.Artifactory{}, "https://acme.jfrog.io", "first"},
		"by name":          {v1alpha1.Artifactory{IdentityMappingName: "second"}, "https://acme.jfrog.io", "second"},
		"for a project":    {v1alpha1.Artifactory{ProjectKey: "web", IdentityMappingName: "of-a-project"}, "https://acme.jfrog.io", "of-a-project"},
		"own audience":     {v1alpha1.Artifactory{Audience: "jfrog"}, "jfrog", "first"},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			claims := map[string]string{"sub": subject}
			jfrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: c.audience, Mappings: []cloud.JFrogIdentityMapping{
				{Name: "first", Claims: claims, Username: "puller"}, {Name: "second", Claims: claims, Username: "puller"},
				{Name: "of-a-project", Claims: claims, Username: "puller", ProjectKey: "web"},
			}})
			c.spec.URL, c.spec.ProviderName = jfrog.URL(), "cluster"
			var audiences []string
			token := tokenOf(t, jfrog, request(c.spec, serviceAccount(t, &audiences)))
			if diff := cmp.Diff([]string{c.audience}, audiences); diff != "" {
				t.Errorf("audiences asked for (-want +got):\n%s", diff)
			}
			if got := last(jfrog); got.Description != c.mapping || got.ProjectKey != c.spec.ProjectKey {
				t.Errorf("a token of mapping %s, project %q was issued", got.Description, got.ProjectKey)
			}
			if token.ID != "" {
				t.Error("a token that cannot be revoked has an ID")
			}
		})
	}
}

func TestATokenIsCreatedAsTheEntrySays(t *testing.T) {
	for name, c := range map[string]struct {
		spec     v1alpha1.Artifactory
		username string
		scope    string
		life     time.Duration
	}{
		"nothing said":     {v1alpha1.Artifactory{}, "admin", "applied-permissions/user", 6 * time.Hour},
		"another user":     {v1alpha1.Artifactory{Username: "puller", TokenLifetime: "24h"}, "puller", "applied-permissions/user", 24 * time.Hour},
		"of groups":        {v1alpha1.Artifactory{Username: "ci", Scope: "applied-permissions/groups:readers"}, "ci", "applied-permissions/groups:readers", 6 * time.Hour},
		"of a project":     {v1alpha1.Artifactory{ProjectKey: "web", TokenLifetime: "10m"}, "admin", "applied-permissions/user", 10 * time.Minute},
		"two named groups": {v1alpha1.Artifactory{Scope: `applied-permissions/groups:"all readers",x`}, "admin", `applied-permissions/groups:"all readers",x`, 6 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{Projects: []string{"web"}})
			admin, _ := jfrog.CreateToken("admin", time.Hour)
			admin += "\n" // as it comes from a file
			c.spec.URL = jfrog.URL()
			token := tokenOf(t, jfrog, request(c.spec, secret(&admin)))
			got := last(jfrog)
			if got.Username != c.username || got.Scope != c.scope || got.ProjectKey != c.spec.ProjectKey {
				t.Errorf("issued for %s, %s, project %q", got.Username, got.Scope, got.ProjectKey)
			}
			if !strings.HasPrefix(got.Description, "regcred") || !strings.Contains(got.Description, "team-a/jfrog") {
				t.Errorf("an administrator cannot tell whose token it is: %q", got.Description)
			}
			if life := time.Until(token.ExpiresAt); life > c.life || life < c.life-time.Minute {
				t.Errorf("said to live for %s, want %s", life, c.life)
			}
			if token.Logins[0].Username != c.username || token.ID != got.ID {
				t.Errorf("username %s and ID %s, want %s and %s", token.Logins[0].Username, token.ID, c.username, got.ID)
			}
		})
	}
}

// Versions that do not name the user in the answer name it in the token.
func TestTheUserIsReadFromTheTokenIfTheAnswerDoesNotSay(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{AnonymousAnswer: true})
	token := tokenOf(t, jfrog, request(v1alpha1.Artifactory{URL: jfrog.URL(), ProviderName: "cluster"}, serviceAccount(t, nil)))
	if got := token.Logins[0].Username; got != "puller" {
		t.Errorf("username %q", got)
	}
}

func TestRefusalsAreExplained(t *testing.T) {
	oidc := v1alpha1.Artifactory{ProviderName: "cluster"}
	for name, c := range map[string]struct {
		spec     v1alpha1.Artifactory
		password string // of the Secret; empty for the ServiceAccount
		options  cloud.JFrogOptions
		reason   string
		says     []string
	}{
		"unknown integration": {
			spec: v1alpha1.Artifactory{ProviderName: "nobody"}, reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"create the OpenID Connect integration nobody", "artifactory.providerName", "7.77.3"},
		},
		"audience that the integration does not expect": {
			spec: v1alpha1.Artifactory{ProviderName: "cluster", Audience: "jfrog"}, reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"exists and expects this audience", "aud jfrog"},
		},
		"no identity mapping": {
			spec: v1alpha1.Artifactory{ProviderName: "cluster", IdentityMappingName: "other"}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{"the identity mapping other of the integration cluster must match", "sub system:serviceaccount:team-a:puller", "aud https://acme.jfrog.io"},
		},
		"issuer that the integration does not know": {
			spec: v1alpha1.Artifactory{ProviderName: "elsewhere"}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{"fetch the keys of the cluster's issuer", "iss (the cluster's issuer)"},
		},
		"no integration named": {reason: v1alpha1.ReasonInvalidRequest, says: []string{"set artifactory.providerName"}},
		"throttled": {
			spec: oidc, options: cloud.JFrogOptions{Access: cloud.Fault{Throttle: 1, RetryAfter: time.Minute}}, reason: v1alpha1.ReasonThrottled,
			says: []string{"tried again more slowly"},
		},
		"dead token in the Secret": {
			password: cloud.CanaryJFrog + "dead", reason: v1alpha1.ReasonAccessDenied,
			says: []string{"has expired, was revoked or is of another platform", "replace the key token of Secret team-a/jfrog"},
		},
		"longer than the administrator allows": {
			password: "admin", options: cloud.JFrogOptions{MaxExpiry: time.Hour}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{"artifactory.tokenLifetime", "than the administrator allows"},
		},
		"another user's token without being an administrator": {
			spec: v1alpha1.Artifactory{Username: "admin"}, password: "puller", reason: v1alpha1.ReasonAccessDenied,
			says: []string{"the token of an administrator"},
		},
		"unknown user": {
			spec: v1alpha1.Artifactory{Username: "nobody"}, password: "admin", reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"check artifactory.username, scope, tokenLifetime and projectKey"},
		},
		"no token in the Secret": {
			password: " \n", reason: v1alpha1.ReasonIdentityInvalid, says: []string{"Secret team-a/jfrog lacks the key token: add it"},
		},
		"something else in the Secret": {
			password: cloud.CanaryJFrog + "\r\nX-Injected: yes", reason: v1alpha1.ReasonIdentityInvalid,
			says: []string{"the key token of Secret team-a/jfrog has more than one line"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, c.options)
			jfrog.AddProvider(cloud.JFrogProvider{Name: "elsewhere", Issuer: "https://other.example"})
			id := serviceAccount(t, nil)
			switch c.password {
			case "":
			case "admin", "puller":
				password, _ := jfrog.CreateToken(c.password, time.Hour)
				id = secret(&password)
			default:
				id = secret(&c.password)
			}
			c.spec.URL = jfrog.URL()
			_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(c.spec, id))
			wantError(t, err, c.reason, c.says...)
		})
	}
}

func TestNoIdentityIsExplained(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL()}, providers.Identity{}))
	wantError(t, err, v1alpha1.ReasonIdentityInvalid, "name a ServiceAccount or a Secret in identity")
}

func TestTheErrorOfTheIdentityIsKept(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	gone := providers.Errorf(v1alpha1.ReasonIdentityNotFound, "gone")
	ids := []providers.Identity{
		{ServiceAccount: &providers.ServiceAccount{RequestToken: func(context.Context, string, time.Duration) (string, error) { return "", gone }}},
		{Secret: &providers.Secret{Data: func(context.Context) (map[string][]byte, error) { return nil, gone }}},
	}
	for _, id := range ids {
		_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL(), ProviderName: "cluster"}, id))
		wantError(t, err, v1alpha1.ReasonIdentityNotFound, "gone")
	}
}

// wantError compares the reason of an error and parts of its text, and that the text shows no secret.
func wantError(t *testing.T, err error, reason string, says ...string) {
	t.Helper()
	if reason != v1alpha1.ReasonIdentityNotFound { // which is Kubernetes' own
		providertest.Documented(t, err, "artifactory.md", "ecr.md")
	}
	known, ok := errors.AsType[*providers.Error](err)
	if !ok || known.Reason != reason {
		t.Fatalf("got %v, want %s", err, reason)
	}
	for _, words := range says {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	if cloud.ContainsCanary([]byte(err.Error())) {
		t.Error("the error shows a secret")
	}
	if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "?\n\t") {
		t.Errorf("the error is not one readable sentence of %d bytes", len(err.Error()))
	}
}
