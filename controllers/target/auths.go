package target

import (
	"time"
	"weak"

	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

const (
	// authsFor and maxAuths bound what tokens look like in a Secret, as it is remembered: for a rotation, in which thousands get the same.
	authsFor = 10 * time.Second
	maxAuths = 64
	// maxAuthsBytes is the largest that is remembered: a docker config may fill a Secret.
	maxAuthsBytes = 16 << 10
)

// authsOf is what a token looks like in a Secret, which is shared and read-only. The token is known by where its logins are in memory.
func (r *Reconciler) authsOf(token providers.Token) pullsecret.Auths {
	if len(token.Logins) == 0 {
		return nil
	}
	key := weak.Make(&token.Logins[0])
	if known, ok := r.auths.Get(key); ok {
		return known
	}
	auths, bytes := pullsecret.AuthsOf(token), 0
	for host, auth := range auths {
		bytes += len(host) + len(auth.Auth)
	}
	if bytes <= maxAuthsBytes {
		r.auths.Put(key, auths)
	}
	return auths
}
