package broker

import (
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// copiedFor is how long what can be read again at no cost is held after the last time that it was asked for.
const copiedFor = time.Minute

// sweepEvery is how often the Broker looks for what it can forget: that takes as long as there are slots.
const sweepEvery = time.Minute

// owner is a credential that names sources.
type owner struct {
	sources   []string
	suspended bool
}

// SetSources says which sources the owner, a credential's Key.String(), names from now on, and that it is not suspended; one that is named twice
// counts twice. A source is remembered as long as a credential names it; one that none names any more is forgotten with its token.
func (b *Broker) SetSources(name string, sources []string) {
	b.mu.Lock()
	before := b.owners[name]
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
		s.owners++
		if ofCluster(name) {
			s.clusterOwners++
		}
		s.dropped = false
	}
	var gone []providers.TokenName
	var waiting []waiters
	for _, source := range before.sources {
		s := b.slots[source]
		s.owners--
		if ofCluster(name) {
			s.clusterOwners--
			s.clusters = s.clusterOwners > 0
		}
		if before.suspended {
			s.suspended--
		}
		waiting = append(waiting, b.withdraw(s))
		if s.owners > 0 {
			continue
		}
		if s.dropped = s.call != nil; !s.dropped {
			gone = append(gone, b.forget(s))
		}
	}
	if b.owners[name] = (owner{sources: slices.Clone(sources)}); len(sources) == 0 {
		delete(b.owners, name)
	}
	b.sweep(now)
	b.mu.Unlock()
	b.retire(gone...)
	for _, ws := range waiting {
		ws.wake()
	}
}

// Suspend says that the owner wants no tokens until SetSources says again what it names: no call is made any more for what only suspended
// credentials name, and what is in memory stays.
func (b *Broker) Suspend(name string) {
	b.mu.Lock()
	of := b.owners[name]
	if of.suspended || len(of.sources) == 0 {
		b.mu.Unlock()
		return
	}
	of.suspended = true
	b.owners[name] = of
	var waiting []waiters
	for _, source := range of.sources {
		s := b.slots[source]
		s.suspended++
		waiting = append(waiting, b.withdraw(s))
	}
	b.mu.Unlock()
	for _, ws := range waiting {
		ws.wake()
	}
}

// withdraw takes back a call that still waits if nobody wants the token any more, and returns who waits for it. The caller holds the lock.
func (b *Broker) withdraw(s *slot) (waiting waiters) {
	if s.owners > s.suspended || s.call == nil || !b.scheduler.withdraw(s.call) {
		return nil
	}
	waiting = s.waiting
	s.waiting, s.call, s.since = nil, nil, s.made
	return waiting
}

// ofCluster says whether the owner, by its Key.String(), is a credential of the cluster.
func ofCluster(owner string) bool {
	return strings.HasPrefix(owner, v1alpha1.KindClusterRegistryCredential+" ")
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
		case s.owners == 0 && unasked > idle && !s.retryAt.After(now):
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
