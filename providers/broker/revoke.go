package broker

import (
	"context"
	"time"

	"github.com/regcred/regcred/providers"
)

const (
	// revocableFor and revocableHeld bound the tokens that can be revoked: what is older, or beyond, dies of its age.
	revocableFor  = 48 * time.Hour
	revocableHeld = 1 << 14
)

// revocable is who can revoke a token.
type revocable struct{ req providers.Request }

// remember notes with which identity a token can be revoked.
func (b *Broker) remember(req providers.Request, id string) string {
	b.revocable.Put(id, revocable{req})
	return id
}

// retire tells of tokens that are no longer handed out.
func (b *Broker) retire(ids ...string) {
	for _, id := range ids {
		if id != "" {
			b.Retired(id)
		}
	}
}

// Spare lets a token live to its end: it is in a Secret that is given back to its owner.
func (b *Broker) Spare(id string) { b.revocable.Delete(id) }

// Revoke ends a token that was minted here, as the identity that it was minted with, and calls done when that has ended. What is not known
// here is left alone, and so is the token that is handed out at present: an ID comes from where others may write, too.
func (b *Broker) Revoke(id string, done func(error)) {
	token, known := b.revocable.Get(id)
	if !known || b.current(token.req, id) {
		done(nil)
		return
	}
	name, _ := token.req.Registry.Provider()
	provider := b.Providers[name]
	work := func() (providers.Token, error) {
		ctx, cancel := context.WithTimeout(b.base, callTimeout)
		defer cancel()
		return providers.Token{}, providers.Revoke(ctx, provider, token.req, id)
	}
	_, err := b.turns.begin(endpointOf(provider, token.req), waiter{token.req.Tenant, leastUrgent}, work, func(_ providers.Token, err error) { done(err) })
	if err != nil {
		done(asError(err))
	}
}

// leastUrgent is what has all the time in the world.
const leastUrgent = -1 << 31

// current says whether the token is handed out at present.
func (b *Broker) current(req providers.Request, id string) bool {
	source := req.Source()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[source]
	return s != nil && s.token.ID == id
}
