package broker

import (
	"time"

	"github.com/regcred/regcred/providers"
)

// RefreshSpacing is the least time between two refusals of one source that count: what a registry refuses again and again is not
// mended by minting.
const RefreshSpacing = time.Minute

// refusalMemory is how long a refusal is remembered at most, if the refused token has no end. By then everybody has asked for another.
const refusalMemory = 24 * time.Hour

// refusal is that a registry has refused a token of a source.
type refusal struct {
	at time.Time
	// until is when the refused token would have ended: nobody holds it after that.
	until time.Time
}

// Refuse says that a registry refuses the token of req's source that ends at expiresAt, so that it is handed out no longer and whoever
// holds it asks for another. It says whether that counts: not within a minute of the last time.
func (b *Broker) Refuse(req providers.Request, expiresAt time.Time) bool {
	source, now := req.Source(), b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, ok := b.refusals[source]; ok && now.Sub(last.at) < RefreshSpacing {
		return false
	}
	until := now.Add(refusalMemory)
	if expiresAt.Before(until) {
		until = expiresAt
	}
	b.refusals[source] = refusal{at: now, until: until}
	delete(b.held, source)
	for key, s := range b.slots {
		if s.source == source && !s.calling {
			delete(b.slots, key)
		}
	}
	return true
}

// RefusedAt is for the field of that name of a request: when a token of its source was refused last, as far as anybody may still hold it.
func (b *Broker) RefusedAt(req providers.Request) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	refused, ok := b.refusals[req.Source()]
	if !ok || !refused.until.After(b.clock.Now()) {
		return ""
	}
	return refused.at.UTC().Format(time.RFC3339)
}

// sweepRefusals forgets those of tokens that have ended. The caller holds the lock.
func (b *Broker) sweepRefusals(now time.Time) {
	for source, refused := range b.refusals {
		if !refused.until.After(now) {
			delete(b.refusals, source)
		}
	}
}
