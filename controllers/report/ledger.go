// Package report says how credentials stand, in status, events and metrics. It decides nothing.
package report

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
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

	mu    sync.Mutex
	books map[credential.Key]*book
	// pullFailures counts, by cause, those that no credential could have prevented.
	pullFailures map[string]int
}

// book is the part of the Ledger that concerns one credential.
type book struct {
	// opened is when the credential was first heard of.
	opened time.Time
	// uid and secretName are the credential's, to tell of it when it is gone.
	uid        types.UID
	secretName string
	targets    map[string]standing
	// selected is how many targets there are to be, as the status was last summed up, and summedAt is when that was.
	selected int
	summedAt time.Time
	// writes counts why Secrets were written.
	writes map[target.Cause]int
	// links counts what was done to links, pullFailures failed pulls by cause, and evictions pods that were evicted.
	links        link.Changes
	pullFailures map[string]int
	evictions    int
	// minted is the last token that targets got, and latest the last that was told of, by entry.
	minted map[string]minted
	latest map[string]toldToken
	news   []news
	// ignored is whether it was told of a refresh request that is too long.
	ignored bool
	// writtenAt is when the status was written last, and writtenAs the resource version that it got.
	writtenAt time.Time
	writtenAs string
}

// toldToken tells the tokens of an entry apart.
type toldToken struct {
	source   string
	issuedAt time.Time
}

// Report implements target.Outcomes.
func (l *Ledger) Report(c *credential.Credential, t credential.Target, out target.Outcome) {
	if out.CacheBehind {
		return
	}
	now := l.Clock.Now()
	l.mu.Lock()
	b := l.books[t.Credential]
	if b == nil {
		b = l.open(t.Credential, now)
	}
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
	l.mu.Unlock()
	if changed {
		l.Changed(t.Credential)
	}
}

func (l *Ledger) open(key credential.Key, now time.Time) *book {
	b := &book{
		opened: now, targets: map[string]standing{}, writes: map[target.Cause]int{}, pullFailures: map[string]int{},
		minted: map[string]minted{}, latest: map[string]toldToken{},
	}
	if l.books == nil {
		l.books = map[credential.Key]*book{}
	}
	l.books[key] = b
	return b
}

// Linked implements target.Outcomes.
func (l *Ledger) Linked(key credential.Key, done link.Changes) {
	if done == (link.Changes{}) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[key]
	if b == nil { // links come before everything else
		b = l.open(key, l.Clock.Now())
	}
	b.links.Add(done)
}

// PullFailed implements pulls.Counters. The zero key is for a failure that no credential could have prevented.
func (l *Ledger) PullFailed(key credential.Key, cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if key == (credential.Key{}) {
		if l.pullFailures == nil {
			l.pullFailures = map[string]int{}
		}
		l.pullFailures[cause]++
	}
	if b := l.books[key]; b != nil {
		b.pullFailures[cause]++
	}
}

// Evicted implements pulls.Counters.
func (l *Ledger) Evicted(key credential.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[key]; b != nil {
		b.evictions++
	}
}

// Forget implements target.Outcomes.
func (l *Ledger) Forget(t credential.Target) {
	l.mu.Lock()
	b := l.books[t.Credential]
	known := false
	if b != nil {
		_, known = b.targets[t.Namespace]
		// One that was never heard of was selected all the same.
		known = known || b.selected > len(b.targets)
		delete(b.targets, t.Namespace)
	}
	l.mu.Unlock()
	if known {
		l.Changed(t.Credential)
	}
}

// Failure implements target.Outcomes.
func (l *Ledger) Failure(t credential.Target, entry string) *credential.Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[t.Credential]
	if b == nil {
		return nil
	}
	stands := b.targets[t.Namespace]
	if stands.failure != nil {
		return stands.failure
	}
	return stands.entry(entry).failure
}

// drop forgets a credential that is no more, and says what it was and what it leaves behind.
func (l *Ledger) drop(key credential.Key) (*credential.Credential, []news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[key]
	if b == nil {
		return nil, nil
	}
	delete(l.books, key)
	return credential.Gone(key, b.uid, b.secretName), b.legacy()
}

// forgetRemoved drops what is known of entries that the spec names no longer: one that is renamed again and again leaves nothing behind.
func (b *book) forgetRemoved(c *credential.Credential) {
	maps.DeleteFunc(b.minted, func(name string, _ minted) bool { return c.Entry(name) == nil })
	maps.DeleteFunc(b.latest, func(name string, _ toldToken) bool { return c.Entry(name) == nil })
}

// takeNews hands over what has not been told yet.
func (l *Ledger) takeNews(c *credential.Credential) []news {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[c.Key]
	if b == nil {
		return nil
	}
	b.tellIgnored(c)
	told := b.news
	b.news = nil
	return told
}

// pause is how much longer the targets of a credential are not summed up again.
func (l *Ledger) pause(key credential.Key, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[key]
	if b == nil || len(b.targets) < restAfterMany || now.Before(b.summedAt) {
		return 0
	}
	return time.Duration(len(b.targets))*restPerTarget - now.Sub(b.summedAt)
}

// known is how many targets of a credential are known.
func (l *Ledger) known(key credential.Key) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[key]; b != nil {
		return len(b.targets)
	}
	return 0
}

// statusWritten is when the status was written last, and the resource version that it got.
func (l *Ledger) statusWritten(key credential.Key) (at time.Time, as string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[key]; b != nil {
		return b.writtenAt, b.writtenAs
	}
	return time.Time{}, ""
}

func (l *Ledger) writeStatus(c *credential.Credential, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[c.Key]; b != nil {
		b.writtenAt, b.writtenAs = now, c.Object.GetResourceVersion()
	}
}
