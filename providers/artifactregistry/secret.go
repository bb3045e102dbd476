package artifactregistry

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/auth"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// keyCredentials is the key of a Secret: the usual name of the file with the same content.
const keyCredentials = "credentials.json"

const oauthURL = "https://oauth2.googleapis.com/token"

// configuration is a service account key or an external account configuration. It lists what is used of one and what must not be: a
// Secret is written by a tenant, and the SDK would read the controller's files, run programs in its pod and send tokens to any URL for
// whoever says so (https://cloud.google.com/docs/authentication/external/externally-sourced-credentials). So the SDK does not see it.
type configuration struct {
	Type           string `json:"type"`
	UniverseDomain string `json:"universe_domain"`

	ClientEmail  string `json:"client_email"`
	PrivateKey   string `json:"private_key"`
	PrivateKeyID string `json:"private_key_id"`
	TokenURI     string `json:"token_uri"`

	Audience         string           `json:"audience"`
	SubjectTokenType string           `json:"subject_token_type"`
	TokenURL         string           `json:"token_url"`
	Source           credentialSource `json:"credential_source"`
	ImpersonationURL string           `json:"service_account_impersonation_url"`
	Impersonation    struct {
		Seconds int64 `json:"token_lifetime_seconds"`
	} `json:"service_account_impersonation"`
	ClientSecret             string `json:"client_secret"`
	WorkforcePoolUserProject string `json:"workforce_pool_user_project"`
}

// credentialSource is where the token to exchange comes from. Only a file is allowed, and it is none: it is a key of the same Secret.
type credentialSource struct {
	File   string `json:"file"`
	Format struct {
		Type  string `json:"type"`
		Field string `json:"subject_token_field_name"`
	} `json:"format"`

	URL           string          `json:"url"`
	Executable    json.RawMessage `json:"executable"`
	Certificate   json.RawMessage `json:"certificate"`
	EnvironmentID string          `json:"environment_id"`
}

// secret gets a token with the credentials in the Secret, and names the service account that they want impersonated.
func (c *call) secret(ctx context.Context) (accessToken, []target, error) {
	data, err := c.id.Secret.Data(ctx)
	if err != nil {
		return accessToken{}, nil, err
	}
	raw, err := secretdata.Document(c.id.Secret, data, keyCredentials)
	if err != nil {
		return accessToken{}, nil, err
	}
	if len(raw) == 0 {
		return accessToken{}, nil, c.unfit("lacks the key %s: add it, with a service account key or an external account configuration", keyCredentials)
	}
	var conf configuration
	if json.Unmarshal(raw, &conf) != nil {
		return accessToken{}, nil, c.unfit("holds no JSON in %s: replace it by a service account key or an external account configuration", keyCredentials)
	}
	if cmp.Or(conf.UniverseDomain, googleapis) != c.universe {
		return accessToken{}, nil, c.unfit("is for another universe than that of the hosts, %s, in universe_domain: use credentials of that one", c.universe)
	}
	switch conf.Type {
	case "service_account":
		token, err := c.key(ctx, conf)
		return token, nil, err
	case "external_account":
		return c.external(ctx, conf, data)
	default:
		return accessToken{}, nil, c.unfit("has another type of credentials in %s than service_account and external_account: use one of these", keyCredentials)
	}
}

// key signs for a token with the key of a service account.
func (c *call) key(ctx context.Context, conf configuration) (accessToken, error) {
	if c.universe != googleapis {
		// There a key signs its own tokens, which are made for one API each.
		return accessToken{}, c.unfit("holds a service account key, which gives no token for registries in %s: use workload identity federation", c.universe)
	}
	if conf.TokenURI != "" && conf.TokenURI != oauthURL {
		return accessToken{}, c.unfit("has another token_uri than %s: tokens are asked for nowhere else", oauthURL)
	}
	if !email.MatchString(conf.ClientEmail) || conf.PrivateKey == "" {
		return accessToken{}, c.unfit("lacks client_email or private_key of a service account in %s: create a new key", keyCredentials)
	}
	if err := secretdata.CheckKeys(c.id.Secret, keyCredentials, []byte(conf.PrivateKey)); err != nil {
		return accessToken{}, err
	}
	provider, err := auth.New2LOTokenProvider(&auth.Options2LO{
		Email: conf.ClientEmail, PrivateKey: []byte(conf.PrivateKey), PrivateKeyID: conf.PrivateKeyID,
		TokenURL: oauthURL, Scopes: []string{c.scope(!c.impersonates)}, Client: c.client(c.apis), Logger: silent,
	})
	if err != nil {
		return accessToken{}, c.unfit("holds a service account key that cannot be used: create a new one")
	}
	token, err := provider.Token(ctx)
	if err != nil {
		return accessToken{}, c.explainKey(conf.ClientEmail, err)
	}
	return accessToken{value: token.Value, expiresAt: c.lasting(token), holder: conf.ClientEmail, member: member(conf.ClientEmail)}, valid(token)
}

var (
	impersonation = regexp.MustCompile(`^/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken$`)
	// tokenTypes are those of tokens that stand for themselves; a request signed for AWS does not.
	tokenTypes = []string{jwtTokenType, "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:saml2"}
)

// external exchanges a token that stands in the same Secret.
func (c *call) external(ctx context.Context, conf configuration, data map[string][]byte) (accessToken, []target, error) {
	source := conf.Source
	switch {
	case source.URL != "" || source.Executable != nil || source.Certificate != nil || source.EnvironmentID != "":
		return accessToken{}, nil, c.unfit("has a credential_source that the controller does not follow for others (url, executable, certificate, environment_id): " +
			"use file with the name of a key of the same Secret")
	case conf.ClientSecret != "" || conf.WorkforcePoolUserProject != "":
		return accessToken{}, nil, c.unfit("is for people (client_secret, workforce_pool_user_project): use a workload identity pool")
	case conf.TokenURL != "" && conf.TokenURL != c.api("sts")+"/v1/token":
		return accessToken{}, nil, c.unfit("has another token_url than %s/v1/token: tokens are sent to %s only", c.api("sts"), c.universe)
	case !slices.Contains(tokenTypes, conf.SubjectTokenType):
		return accessToken{}, nil, c.unfit("has another subject_token_type than %s", strings.Join(tokenTypes, ", "))
	case !strings.HasPrefix(conf.Audience, "//iam.googleapis.com/") || !providerName.MatchString(strings.TrimPrefix(conf.Audience, "//iam.googleapis.com/")):
		return accessToken{}, nil, c.unfit("has an audience that is not a provider of a workload identity pool, such as " +
			"//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-provider")
	}
	targets, err := c.ownTargets(conf)
	if err != nil {
		return accessToken{}, nil, err
	}
	c.impersonates = c.impersonates || len(targets) > 0
	subject, err := c.subject(source, data)
	if err != nil {
		return accessToken{}, nil, err
	}
	provider := strings.TrimPrefix(conf.Audience, "//iam.googleapis.com/")
	token, err := c.exchanged(ctx, conf.Audience, conf.SubjectTokenType, subject)
	if err != nil {
		return accessToken{}, nil, explainExternal(provider, c.id.Secret, err)
	}
	token.holder = c.id.Secret.String()
	return token, targets, nil
}

func (c *call) ownTargets(conf configuration) ([]target, error) {
	if conf.ImpersonationURL == "" {
		return nil, nil
	}
	path, _ := strings.CutPrefix(conf.ImpersonationURL, c.api("iamcredentials"))
	match := impersonation.FindStringSubmatch(path)
	if len(match) != 2 || !email.MatchString(match[1]) {
		return nil, c.unfit("has a service_account_impersonation_url that is not generateAccessToken at %s: correct it, or remove it and set artifactRegistry.serviceAccount",
			c.api("iamcredentials"))
	}
	lifetime := time.Duration(conf.Impersonation.Seconds) * time.Second
	if lifetime <= 0 || lifetime > maxLifetime {
		lifetime = defaultLifetime
	}
	return []target{{match[1], lifetime}}, nil
}

// subject is the token to exchange.
func (c *call) subject(source credentialSource, data map[string][]byte) (string, error) {
	value, err := secretdata.Document(c.id.Secret, data, source.File)
	if err != nil {
		return "", err
	}
	if _, ok := data[source.File]; !ok || source.File == keyCredentials {
		return "", c.unfit("has a credential_source.file that is not a key of the same Secret: no file of the controller is read; add the token under a key, and name that")
	}
	token, fault := secretdata.Fault(string(value))
	if source.Format.Type == "json" {
		var fields map[string]any
		_ = json.Unmarshal(value, &fields) // what is no JSON has no fields
		token, _ = fields[source.Format.Field].(string)
		token, fault = secretdata.Fault(token)
	}
	if fault != "" {
		return "", c.unfit("holds a token in %s that %s", source.File, fault)
	}
	if token == "" {
		return "", c.unfit("holds no token where credential_source of %s points: check file and format", keyCredentials)
	}
	return token, nil
}

// unfit says what is wrong with the Secret.
func (c *call) unfit(format string, args ...any) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s "+format, append([]any{c.id.Secret}, args...)...)
}
