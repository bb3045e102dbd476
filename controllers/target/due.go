package target

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

// jitterShare is the part of a token's life over which the refreshes of its targets are spread. It only moves them earlier.
const jitterShare = 10

// dueAt is when this target is due for a new token: when so much of the token's life is left as the entry says. The jitter is a hash of the
// credential and the namespace, so a restart changes nothing and a test knows it. It moves a refresh earlier, except where the cloud would
// only repeat the token.
func dueAt(c *credential.Credential, namespace string, entry *v1alpha1.Registry, r pullsecret.Record) time.Time {
	switch {
	case r.ExpiresAt.Equal(providers.Never):
		return providers.Never
	case r.Earlier():
		return r.EarlierDueAt
	}
	name, life := string(c.Object.GetUID())+"/"+namespace, r.ExpiresAt.Sub(r.IssuedAt)
	due := r.ExpiresAt.Add(-life / 100 * time.Duration(entry.RenewBefore()))
	if !due.After(r.RenewableAt) {
		return r.RenewableAt.Add(spread(name, r.ExpiresAt.Sub(r.RenewableAt)/jitterShare))
	}
	earlier := due.Add(-spread(name, min(life/jitterShare, due.Sub(r.IssuedAt)/2)))
	if earlier.Before(r.RenewableAt) {
		return r.RenewableAt
	}
	return earlier
}

// spread maps a name to the same fraction of any window.
func spread(name string, window time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(name))
	fraction := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	return time.Duration(fraction * float64(window))
}
