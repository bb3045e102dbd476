package broker

import (
	"slices"
	"time"

	"github.com/regcred/regcred/providers"
)

// copiedFor is how long what can be read again at no cost is held after the last time that it was asked for.
const copiedFor = time.Minute

// sweepEvery is how often the Broker looks for what it can forget: that takes as long as there are slots.
const sweepEvery = time.Minute

// naming is what one credential names.
type naming struct {
	sources   []string
	suspended bool
}

// owners counts the credentials that name a source: all of them, those of the cluster, and those that are suspended.
type owners struct{ all, clusters, suspended int }

// count adds a credential, or takes it away if by is -1.
func (o *owners) count(by int, owner providers.Owner, suspended bool) {
	o.all += by
	if owner.OfCluster() {
		o.clusters += by
	}
	if suspended {
		o.suspended += by
	}
}

// SetSources says which sources the credential names from now on, and that it is not suspended; one that is named twice counts twice. A source is
// remembered as long as a credential names it; one that none names any more is forgotten with its token.
func (b *Broker) SetSources(owner providers.Owner, sources []string) {
	b.mu.Lock()
	before := b.named[owner]
	if !before.suspended && slices.Equal(before.sources, sources) {
		b.mu.Unlock()
		return
	}
	now := b.Clock.Now()
	for _, source := range sources {
		s := b.slots[source]
		if s == nil {
			s = &slot{source: source, askedAt: now}
			b.slots[source] = s
		}
		s.dropped = false
		if s.owners.count(1, owner, false); s.owners.clusters > 0 {
			b.bytes.disown(s)
		}
	}
	var gone []providers.TokenName
	var waiting []waiters
	for _, source := range before.sources {
		s := b.slots[source]
		s.owners.count(-1, owner, before.suspended)
		waiting = append(waiting, b.withdraw(s))
		if s.owners.all > 0 {
			continue
		}
		if s.dropped = s.call != nil; !s.dropped {
			gone = append(gone, b.forget(s))
		}
	}
	if b.named[owner] = (naming{sources: slices.Clone(sources)}); len(sources) == 0 {
		delete(b.named, owner)
	}
	b.sweep(now)
	b.mu.Unlock()
	b.retire(gone...)
	wake(waiting)
}

// Suspend says that the credential wants no tokens until SetSources says again what it names: no call is made any more for what only suspended
// credentials name, and what is in memory stays.
func (b *Broker) Suspend(owner providers.Owner) {
	b.mu.Lock()
	of := b.named[owner]
	if of.suspended || len(of.sources) == 0 {
		b.mu.Unlock()
		return
	}
	of.suspended = true
	b.named[owner] = of
	var waiting []waiters
	for _, source := range of.sources {
		s := b.slots[source]
		s.owners.suspended++
		waiting = append(waiting, b.withdraw(s))
	}
	b.mu.Unlock()
	wake(waiting)
}

// withdraw takes back a call that still waits if nobody wants the token any more, and returns who waits for it. The caller holds the lock.
func (b *Broker) withdraw(s *slot) (waiting waiters) {
	if s.owners.all > s.owners.suspended || s.call == nil || !b.scheduler.withdraw(s.call) {
		return nil
	}
	waiting = s.waiting
	s.waiting, s.call, s.since = nil, nil, s.made
	return waiting
}

// forget drops a slot, and returns the name of its token. The caller holds the lock.
func (b *Broker) forget(s *slot) providers.TokenName {
	b.bytes.drop(s)
	delete(b.slots, s.source)
	return providers.NewTokenName(s.source, s.token.ID)
}

// sweep forgets what nobody can need any more. The caller holds the lock.
func (b *Broker) sweep(now time.Time) {
	if now.Sub(b.sweptAt) < sweepEvery {
		return
	}
	b.sweptAt = now
	var gone []providers.TokenName
	for _, s := range b.slots {
		unasked := now.Sub(s.askedAt)
		switch {
		case s.call != nil:
		case s.owners.all == 0 && unasked > idle && !s.retryAt.After(now):
			gone = append(gone, b.forget(s))
		case s.inBudget != nil && (!s.token.ExpiresAt.After(now) || s.token.Copied && unasked > copiedFor):
			b.bytes.drop(s)
			s.token.Logins = nil
		}
	}
	b.scheduler.sweep(now)
	if len(gone) > 0 {
		go b.retire(gone...)
	}
}
