package broker

import (
	"context"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

const (
	// revocableFor bounds for how long it is known how a token is revoked, maxRevocable of how many, and revocableOfTenant of how many of one
	// namespace, each of which holds a request: what is older, or beyond, dies of its age.
	revocableFor      = 48 * time.Hour
	maxRevocable      = 1 << 14
	revocableOfTenant = 1 << 8
)

// revocable is a token, and who can revoke it.
type revocable struct {
	id  string
	req providers.Request
}

func newRevocables(c clock.PassiveClock) *expiring.Map[providers.TokenName, revocable] {
	return expiring.Shared(c, revocableFor, maxRevocable, revocableOfTenant, func(_ providers.TokenName, token revocable) string { return token.req.Tenant })
}

// remember notes with which identity a token can be revoked, and returns the token's name.
func (b *Broker) remember(req providers.Request, id string) providers.TokenName {
	name := providers.NewTokenName(req.Source(), id)
	b.revocable.Put(name, revocable{id, req})
	return name
}

// retire tells of tokens that are no longer handed out, if they can be revoked.
func (b *Broker) retire(names ...providers.TokenName) {
	for _, name := range names {
		if token, known := b.revocable.Get(name); known {
			b.Retired(token.req.Tenant, name)
		}
	}
}

// Spare lets a token live to its end: it was written into a Secret that is given back to its owner, or that nobody can keep an eye on. Its name
// comes from what was written there, and not from what the Secret says, where others write.
func (b *Broker) Spare(name providers.TokenName) { b.revocable.Delete(name) }

// Revoke ends the token of that name that was minted here, as the identity that it was minted with, and calls done when that has ended. What is
// not known here is left alone, and so is the token that is handed out at present: a name comes from where others may write, too.
func (b *Broker) Revoke(name providers.TokenName, done func(error)) {
	token, known := b.revocable.Get(name)
	if !known || b.current(token) {
		done(nil)
		return
	}
	kind, _ := token.req.Registry.Provider()
	provider := b.Providers[kind]
	work := func() (providers.Token, error) {
		ctx, cancel := context.WithTimeout(b.base, callTimeout)
		defer cancel()
		return providers.Token{}, providers.Revoke(ctx, provider, token.req, token.id)
	}
	_, err := b.scheduler.begin(endpointOf(provider, token.req), asker{token.req.Tenant, leastUrgent}, work, func(_ providers.Token, err error) {
		if err == nil {
			b.revocable.Delete(name)
		}
		done(err)
	})
	if err != nil {
		done(asError(err))
	}
}

// leastUrgent is what has all the time in the world.
const leastUrgent = -1 << 31

// current says whether the token is handed out at present.
func (b *Broker) current(token revocable) bool {
	source := token.req.Source()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[source]
	return s != nil && s.token.ID == token.id
}
