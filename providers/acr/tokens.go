package acr

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// claims are those of Entra's and of registries' tokens that matter here. Nothing rests on their signatures: who issues a token is asked
// for it over TLS, and who takes it checks it.
type claims struct {
	jwt.RegisteredClaims
	// TenantID is Entra's.
	TenantID string `json:"tid"`
	// Access is what a registry's access token is for.
	Access []struct {
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	} `json:"access"`
}

func parse(token string) (claims, bool) {
	var c claims
	_, _, err := jwt.NewParser().ParseUnverified(token, &c)
	// Unverifiable is a token of an algorithm that is unknown here; its claims are read all the same.
	return c, err == nil || errors.Is(err, jwt.ErrTokenUnverifiable)
}

// claimsOf are those of a registry's token, which must say when it ends.
func claimsOf(token *string, reg registry) (claims, error) {
	if token == nil {
		return claims{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "the registry %s answered without a token", reg.host)
	}
	c, ok := parse(*token)
	if !ok || c.ExpiresAt == nil {
		return claims{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "the registry %s answered with a token that does not say when it expires", reg.host)
	}
	return c, nil
}

// tenantOf is the tenant of a token of Entra: its ID, where an annotation may name it by a domain.
func tenantOf(token, named string) string {
	if c, ok := parse(token); ok && clientID.MatchString(c.TenantID) {
		return c.TenantID
	}
	return named
}

// scoped has the registry turn its refresh token into an access token for these repositories alone.
func (p *Provider) scoped(ctx context.Context, reg registry, id identity, refreshToken string, repositories []string) (string, time.Time, error) {
	w, client, err := p.client(reg)
	if err != nil {
		return "", time.Time{}, err
	}
	scopes := make([]string, len(repositories))
	for i, r := range repositories {
		scopes[i] = "repository:" + r + ":pull"
	}
	grant := azcontainerregistry.TokenGrantTypeRefreshToken
	out, err := client.ExchangeACRRefreshTokenForACRAccessToken(ctx, reg.host.String(), strings.Join(scopes, " "), refreshToken,
		&azcontainerregistry.AuthenticationClientExchangeACRRefreshTokenForACRAccessTokenOptions{GrantType: &grant})
	if err != nil {
		return "", time.Time{}, explainExchange(w.last, reg, id)
	}
	c, err := claimsOf(out.AccessToken, reg)
	if err != nil {
		return "", time.Time{}, err
	}
	for _, r := range repositories {
		if !c.allows(r) {
			return "", time.Time{}, providers.Errorf(v1alpha1.ReasonAccessDenied, "%s may not pull from %s/%s, which acr.repositories names: %s",
				id.name, reg.host, r, p.Cure())
		}
	}
	return *out.AccessToken, p.ours(c.RegisteredClaims, w.last.date), nil
}

// allows says whether the token is for pulls from a repository. A registry leaves out what the identity may not do, and says nothing.
func (c claims) allows(repository string) bool {
	for _, a := range c.Access {
		if a.Name == repository && slices.Contains(a.Actions, "pull") {
			return true
		}
	}
	return false
}
