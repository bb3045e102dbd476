package artifactory

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// keyToken is the key of a Secret that holds a token of JFrog which may create others.
const keyToken = "token"

const (
	// subjectLife is the least that Kubernetes grants. One call is made with the ServiceAccount's token; what JFrog issues for it has a life
	// of its own.
	subjectLife = 10 * time.Minute
	// defaultLife is what JFrog demands by default of a token that can be revoked (revocable-expiry-threshold of Access).
	defaultLife = 6 * time.Hour

	defaultScope = "applied-permissions/user"
)

// exchangeRequest is the body of POST /access/api/v1/oidc/token ("OIDC Token Exchange" in JFrog's REST API reference).
type exchangeRequest struct {
	GrantType           string `json:"grant_type"`
	SubjectTokenType    string `json:"subject_token_type"`
	SubjectToken        string `json:"subject_token"`
	ProviderName        string `json:"provider_name"`
	IdentityMappingName string `json:"identity_mapping_name,omitempty"`
	ProjectKey          string `json:"project_key,omitempty"`
}

// createRequest is the body of POST /access/api/v1/tokens ("Create Token" in JFrog's REST API reference).
type createRequest struct {
	Username    string `json:"username,omitempty"`
	Scope       string `json:"scope"`
	ExpiresIn   int64  `json:"expires_in"`
	Refreshable bool   `json:"refreshable"`
	ProjectKey  string `json:"project_key,omitempty"`
	Description string `json:"description"`
}

// mint is the call that brings a token for the identity.
func (p *Provider) mint(ctx context.Context, base string, spec *v1alpha1.Artifactory, id providers.Identity) (call, error) {
	switch {
	case spec.AWS != nil:
		return p.loginOfRole(ctx, base, spec, id)
	case id.ServiceAccount != nil:
		return p.exchange(ctx, base, spec, id.ServiceAccount)
	case id.Secret != nil:
		return create(ctx, base, spec, id.Secret)
	default:
		return call{}, noIdentity()
	}
}

func noIdentity() *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "artifactory has no identity of the controller's own to use: "+
		"name a ServiceAccount or a Secret in identity")
}

func (p *Provider) exchange(ctx context.Context, base string, spec *v1alpha1.Artifactory, sa *providers.ServiceAccount) (call, error) {
	if spec.ProviderName == "" {
		return call{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s needs an OpenID Connect integration of JFrog that takes its token: "+
			"set artifactory.providerName", sa)
	}
	audience, err := p.audience(base, spec)
	if err != nil {
		return call{}, err
	}
	token, err := sa.RequestToken(ctx, audience, subjectLife)
	if err != nil {
		return call{}, err
	}
	return call{
		action: "the exchange of the token of " + sa.String(), method: http.MethodPost, url: base + "/access/api/v1/oidc/token",
		body: exchangeRequest{
			GrantType:           "urn:ietf:params:oauth:grant-type:token-exchange",
			SubjectTokenType:    "urn:ietf:params:oauth:token-type:id_token",
			SubjectToken:        token,
			ProviderName:        spec.ProviderName,
			IdentityMappingName: spec.IdentityMappingName,
			ProjectKey:          spec.ProjectKey,
		},
		cures: exchangeCures(spec, audience, sa),
	}, nil
}

func create(ctx context.Context, base string, spec *v1alpha1.Artifactory, secret *providers.Secret) (call, error) {
	bearer, err := tokenIn(ctx, secret)
	if err != nil {
		return call{}, err
	}
	body := createRequest{
		Username: spec.Username, Scope: spec.Scope, ProjectKey: spec.ProjectKey,
		ExpiresIn: int64(spec.TokenLifetime.Duration().Seconds()), Description: "regcred: image pulls, created with " + secret.String(),
	}
	if body.Scope == "" {
		body.Scope = defaultScope
	}
	if body.ExpiresIn == 0 {
		body.ExpiresIn = int64(defaultLife.Seconds())
	}
	return call{
		action: "the creation of a token with " + secret.String(), method: http.MethodPost, url: base + "/access/api/v1/tokens",
		bearer: bearer, body: body, cures: createCures(secret),
	}, nil
}

// revoke is "Revoke Token by ID" in JFrog's REST API reference, which answers 204 where there is no such token.
func revoke(ctx context.Context, base, id string, secret *providers.Secret) (call, error) {
	bearer, err := tokenIn(ctx, secret)
	if err != nil {
		return call{}, err
	}
	return call{
		action: "the revocation of a token with " + secret.String(), method: http.MethodDelete, url: base + "/access/api/v1/tokens/" + id,
		bearer: bearer, goneIsFine: true, cures: revokeCures(secret),
	}, nil
}

// tokenIn reads the token of a Secret.
func tokenIn(ctx context.Context, secret *providers.Secret) (providers.Sensitive, error) {
	data, err := secret.Data(ctx)
	if err != nil {
		return "", err
	}
	token, err := secretdata.Line(secret, data, keyToken)
	switch {
	case err != nil:
		return "", err
	case strings.TrimSpace(token) == "":
		return "", providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s lacks the key %s: add it, with an access token of JFrog", secret, keyToken)
	case !isPassword(token):
		return "", providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the key %s of %s is no access token of JFrog: replace it", keyToken, secret)
	}
	return providers.Sensitive(token), nil
}
