// Package static publishes credentials that somebody else keeps in a Secret: a username and password, or a docker config.
package static

import (
	"context"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Name is the union member of this provider.
const Name = "static"

// Provider reads the Secret of the identity. It asks no registry and no cloud.
type Provider struct{ clock clock.PassiveClock }

// New returns a provider.
func New(c clock.PassiveClock) *Provider { return &Provider{clock: c} }

// Hosts are those that the entry names.
func (*Provider) Hosts(entry *v1alpha1.Registry) []string {
	chosen, err := chosenHosts(entry.Static)
	if err != nil {
		return nil
	}
	return chosen
}

// Cure is how a pull is allowed.
func (*Provider) Cure() string {
	return "let the Secret's user read the repository, or replace the credentials"
}

// Token returns what the Secret of req holds, one login for each distinct username and password. A Secret that changes makes another
// request, so nothing here has to be renewed.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	secret := req.Identity.Secret
	if secret == nil {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid,
			"static needs identity.secretRef: name the Secret that holds the credentials")
	}
	data, err := secret.Data(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	chosen, err := chosenHosts(req.Registry.Static)
	if err != nil {
		return providers.Token{}, err
	}
	logins, err := read(secret, data, chosen)
	if err != nil {
		return providers.Token{}, err
	}
	expiresAt := providers.Never
	for _, l := range logins {
		if e := expiry(l.Password); e.Before(expiresAt) {
			expiresAt = e
		}
		if !expiresAt.After(p.clock.Now()) {
			return providers.Token{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid,
				"the password for %s in %s expired at %s, as it says itself: replace it, or choose other hosts by static.hosts",
				l.Hosts[0], secret, expiresAt.UTC().Format(time.RFC3339))
		}
	}
	if until := req.Until; !until.IsZero() {
		if expiresAt.Before(until) {
			return providers.Token{}, providers.Errorf(v1alpha1.ReasonOverrideInvalid, "the password in %s expires at %s, as it says itself, and override.until is later: "+
				"replace the password, or choose an earlier time", secret, expiresAt.UTC().Format(time.RFC3339))
		}
		expiresAt = until
	}
	token := providers.Token{Logins: logins, ExpiresAt: expiresAt, Copied: true}
	if expiresAt.Before(providers.Never) {
		// Until somebody changes the Secret, asking again brings the same.
		token.RenewableAt = expiresAt
	}
	return token, nil
}

// expiry is when a password ends that is a JWT and says so, as those of Artifactory, Azure and Harbor do; Never for any other. How it is signed
// is its registry's affair.
func expiry(password providers.Sensitive) time.Time {
	var claims jwt.RegisteredClaims
	_, _, err := jwt.NewParser().ParseUnverified(password.Reveal(), &claims)
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) || claims.ExpiresAt == nil {
		return providers.Never
	}
	return claims.ExpiresAt.Time
}
