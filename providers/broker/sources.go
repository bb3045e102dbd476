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

// SetSources says which sources the owner, a credential's Key.String(), names from now on; one that is named twice counts twice. A source is remembered as long as a credential names it; one that none
// names any more is forgotten with its token.
func (b *Broker) SetSources(owner string, sources []string) {
	b.mu.Lock()
	before := b.owners[owner]
	if slices.Equal(before, sources) {
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
		if ofCluster(owner) {
			s.clusterOwners++
		}
		s.dropped = false
	}
	var gone []providers.TokenName
	var waiting []waiters
	for _, source := range before {
		s := b.slots[source]
		if ofCluster(owner) {
			s.clusterOwners--
			s.clusters = s.clusterOwners > 0
		}
		if s.owners--; s.owners > 0 {
			continue
		}
		if s.call != nil && b.scheduler.withdraw(s.call) {
			waiting, s.waiting, s.call = append(waiting, s.waiting), nil, nil
		}
		if s.dropped = s.call != nil; !s.dropped {
			gone = append(gone, b.forget(s))
		}
	}
	if b.owners[owner] = slices.Clone(sources); len(sources) == 0 {
		delete(b.owners, owner)
	}
	b.sweep(now)
	b.mu.Unlock()
	b.retire(gone...)
	for _, ws := range waiting {
		ws.wake()
	}
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
