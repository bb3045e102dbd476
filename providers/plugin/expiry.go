package plugin

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/clockskew"
)

// expiry is the end of the token that ends first. The protocol has no expiry: where a token says itself when it ends, that counts, and
// otherwise the cacheDuration that the plugin vouches for, which is often half of what remains.
func (p *plugin) expiry(response *credentialprovider.CredentialProviderResponse, logins []providers.Login, from subject, now time.Time) (time.Time, error) {
	end := providers.Never
	for _, l := range logins {
		own, ok := ownExpiry(l.Password.Reveal(), now)
		if !ok {
			vouched := p.config.DefaultCacheDuration
			if response.CacheDuration != nil {
				vouched = response.CacheDuration
			}
			if vouched.Duration <= 0 {
				return time.Time{}, p.invalidResponse("vouches for its credentials for no time (cacheDuration 0), and a Secret keeps them: " +
					"if they live longer, have the plugin say so, or set defaultCacheDuration if it says nothing")
			}
			own = now.Add(vouched.Duration)
		}
		if own.Before(end) {
			end = own
		}
	}
	attributes := p.config.TokenAttributes
	if from.token == "" || attributes == nil {
		return end, nil
	}
	if attributes.CacheType == kubeletconfig.TokenServiceAccountTokenCacheType {
		// The credentials end with the ServiceAccount's token: that is what this cacheType says.
		if from.expiresAt.Before(end) {
			end = from.expiresAt
		}
		return end, nil
	}
	for _, l := range logins {
		if l.Password.Reveal() == from.token {
			// The kubelet's rule, for the same reason.
			return time.Time{}, p.invalidResponse("answered with the ServiceAccount's own token, which takes cacheType Token in its configuration")
		}
	}
	return end, nil
}

// ownExpiry reads the expiry of a JSON Web Token, by our clock. Nothing rests on its signature: the plugin is trusted, and the registry
// verifies.
func ownExpiry(token string, now time.Time) (time.Time, bool) {
	var claims jwt.RegisteredClaims
	_, _, err := jwt.NewParser().ParseUnverified(token, &claims)
	// Unverifiable is a token of an algorithm that is unknown here; its claims are read all the same.
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) || claims.ExpiresAt == nil {
		return time.Time{}, false
	}
	end := claims.ExpiresAt.Time
	if claims.IssuedAt != nil && claims.IssuedAt.After(now) {
		// What is issued in the future comes from a clock that is ahead, and ends later by it than by ours.
		end = clockskew.Ours(end, claims.IssuedAt.Time, now)
	}
	return end, true
}
