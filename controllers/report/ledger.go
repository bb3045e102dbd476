// Package report says how credentials stand, in status, events and metrics. It decides nothing.
package report

import (
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
)

// Ledger is how every target stands, in memory. Status, events and metrics are views of it; nothing is decided from it.
type Ledger struct {
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Changed is called when the standing of a credential has changed.
	Changed func(credential.Key)

	// mu is taken for an instant alone, and no book with it: what takes as long as a credential has targets holds up nobody else.
	mu    sync.Mutex
	books map[credential.Key]*book
	// pullFailures counts, by cause, those that no credential could have prevented.
	pullFailures map[string]int
}

// Report implements target.Outcomes.
func (l *Ledger) Report(c *credential.Credential, t credential.Target, out target.Outcome) {
	if out.CacheBehind {
		return
	}
	now := l.Clock.Now()
	b := l.open(t.Credential, now)
	b.uid, b.secretName = c.Object.GetUID(), c.SecretName()
	before, known := b.targets[t.Namespace]
	after := b.stand(out, before, now)
	after.answer(c, before)
	if len(after.entries) == 0 {
		for _, entry := range c.Spec.Registries {
			after.entries = append(after.entries, entryStanding{name: entry.Name})
		}
	}
	b.targets[t.Namespace] = after
	b.count(out, before)
	b.tell(t, out, before)
	changed := !known || !after.equal(before) || len(b.news) > 0
	b.Unlock()
	if changed {
		l.Changed(t.Credential)
	}
}

// Linked implements target.Outcomes.
func (l *Ledger) Linked(key credential.Key, done link.Changes) {
	if done == (link.Changes{}) {
		return
	}
	b := l.open(key, l.Clock.Now()) // links come before everything else
	defer b.Unlock()
	b.links.Add(done)
}

// PullFailed implements pulls.Counters. The zero key is for a failure that no credential could have prevented.
func (l *Ledger) PullFailed(key credential.Key, cause string) {
	if key == (credential.Key{}) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.pullFailures == nil {
			l.pullFailures = map[string]int{}
		}
		l.pullFailures[cause]++
		return
	}
	if b := l.enter(key); b != nil {
		defer b.Unlock()
		b.pullFailures[cause]++
	}
}

// Evicted implements pulls.Counters.
func (l *Ledger) Evicted(key credential.Key) {
	if b := l.enter(key); b != nil {
		defer b.Unlock()
		b.evictions++
	}
}

// Forget implements target.Outcomes.
func (l *Ledger) Forget(t credential.Target) {
	b := l.enter(t.Credential)
	if b == nil {
		return
	}
	_, known := b.targets[t.Namespace]
	// One that was never heard of was selected all the same.
	known = known || b.selected > len(b.targets)
	delete(b.targets, t.Namespace)
	b.Unlock()
	if known {
		l.Changed(t.Credential)
	}
}

// Failure implements target.Outcomes.
func (l *Ledger) Failure(t credential.Target, entry string) *credential.Failure {
	b := l.enter(t.Credential)
	if b == nil {
		return nil
	}
	defer b.Unlock()
	stands := b.targets[t.Namespace]
	if stands.failure != nil {
		return stands.failure
	}
	return stands.entry(entry).failure
}

// drop forgets a credential that is no more, and says what it was and what it leaves behind.
func (l *Ledger) drop(key credential.Key) (*credential.Credential, []news) {
	b := l.enter(key)
	if b == nil {
		return nil, nil
	}
	defer b.Unlock()
	l.close(key, b)
	return credential.Gone(key, b.uid, b.secretName), b.legacy()
}

// takeNews hands over what has not been told yet.
func (l *Ledger) takeNews(c *credential.Credential) []news {
	b := l.enter(c.Key)
	if b == nil {
		return nil
	}
	defer b.Unlock()
	b.tellIgnored(c)
	told := b.news
	b.news = nil
	return told
}

// pause is how much longer the targets of a credential are not summed up again.
func (l *Ledger) pause(key credential.Key, now time.Time) time.Duration {
	b := l.enter(key)
	if b == nil {
		return 0
	}
	defer b.Unlock()
	if len(b.targets) < restAfterMany || now.Before(b.summedAt) {
		return 0
	}
	return time.Duration(len(b.targets))*restPerTarget - now.Sub(b.summedAt)
}

// known is how many targets of a credential are known.
func (l *Ledger) known(key credential.Key) int {
	b := l.enter(key)
	if b == nil {
		return 0
	}
	defer b.Unlock()
	return len(b.targets)
}

// statusWritten is when the status was written last, and the resource version that it got.
func (l *Ledger) statusWritten(key credential.Key) (at time.Time, as string) {
	b := l.enter(key)
	if b == nil {
		return time.Time{}, ""
	}
	defer b.Unlock()
	return b.writtenAt, b.writtenAs
}

func (l *Ledger) writeStatus(c *credential.Credential, now time.Time) {
	if b := l.enter(c.Key); b != nil {
		defer b.Unlock()
		b.writtenAt, b.writtenAs = now, c.Object.GetResourceVersion()
	}
}
