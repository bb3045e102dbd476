// Package report says how credentials stand, in status, events and metrics. It decides nothing.
package report

import (
	"sync"
	"time"

	"k8s.io/utils/clock"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
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
	opened  time.Time
	targets map[string]standing
	// selected is how many targets there are to be, as the status was last summed up.
	selected int
	// writes counts why Secrets were written.
	writes map[target.Cause]int
	// links counts what was done to links, pullFailures failed pulls by cause, and evictions pods that were evicted.
	links        link.Changes
	pullFailures map[string]int
	evictions    int
	// hosts are those of the entry's last known token, and latest is the last that was told of, by entry.
	hosts  map[string][]string
	latest map[string]mintage
	news   []news
	// writtenAt is when the status was written last, and writtenAs the resource version that it got.
	writtenAt time.Time
	writtenAs string
}

// mintage tells the tokens of an entry apart.
type mintage struct {
	source   string
	issuedAt time.Time
}

// standing is how one target stands.
type standing struct {
	// generation and refresh are the last spec and refresh request that the target has answered, be it by a failure.
	generation int64
	refresh    string
	entries    []entryStanding
	failure    *credential.Failure
	// failingSince is when failure appeared.
	failingSince time.Time
	// pending is whether an entry waits for a call that is under way.
	pending bool
}

type entryStanding struct {
	name                 string
	expiresAt, refreshAt time.Time
	issuedAt             time.Time
	overrideUntil        time.Time
	verified             metav1.ConditionStatus
	unproven             string
	failure              *credential.Failure
}

// Report implements target.Outcomes.
func (l *Ledger) Report(c *credential.Credential, t credential.Target, out target.Outcome) {
	if out.Unseen {
		return
	}
	now := l.Clock.Now()
	l.mu.Lock()
	b := l.books[t.Credential]
	if b == nil {
		b = l.open(t.Credential, now)
	}
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
		hosts: map[string][]string{}, latest: map[string]mintage{},
	}
	if l.books == nil {
		l.books = map[credential.Key]*book{}
	}
	l.books[key] = b
	return b
}

func (b *book) stand(out target.Outcome, before standing, now time.Time) standing {
	s := standing{failure: out.Failure, entries: make([]entryStanding, len(out.Entries))}
	if s.failure != nil {
		s.failingSince = now
		if before.failure != nil && before.failure.Reason == s.failure.Reason {
			s.failingSince = before.failingSince
		}
	}
	for i, e := range out.Entries {
		stands := entryStanding{name: e.Name, failure: e.Failure}
		if e.Pending() || e.Withheld {
			// A call under way mends nothing yet.
			stands.failure = before.entry(e.Name).failure
		}
		s.pending = s.pending || e.Pending()
		if e.Known && (e.Cause != target.CauseRefused || e.Fresh) { // a token that was refused is none
			stands.expiresAt, stands.refreshAt, stands.verified = e.Record.ExpiresAt, e.DueAt, e.Record.Verified
			stands.issuedAt, stands.overrideUntil, stands.unproven = e.Record.IssuedAt, e.OverrideUntil, e.Unproven
			b.hosts[e.Name] = e.Record.Hosts
		}
		s.entries[i] = stands
	}
	return s
}

// answer notes which spec and which refresh request the target has answered: those of now unless a call is under way.
func (s *standing) answer(c *credential.Credential, before standing) {
	s.generation, s.refresh = c.Object.GetGeneration(), refreshRequest(c)
	if s.pending {
		s.generation, s.refresh = before.generation, before.refresh
	}
}

// entry returns how an entry stands; the zero value if the target does not know it.
func (s standing) entry(name string) entryStanding {
	for _, e := range s.entries {
		if e.name == name {
			return e
		}
	}
	return entryStanding{}
}

func (s standing) equal(other standing) bool {
	if s.generation != other.generation || s.refresh != other.refresh || !sameFailure(s.failure, other.failure) || len(s.entries) != len(other.entries) {
		return false
	}
	for i, e := range s.entries {
		o := other.entries[i]
		if e.name != o.name || !e.overrideUntil.Equal(o.overrideUntil) || !e.expiresAt.Equal(o.expiresAt) || !e.refreshAt.Equal(o.refreshAt) ||
			e.verified != o.verified || e.unproven != o.unproven || !sameFailure(e.failure, o.failure) {
			return false
		}
	}
	return true
}

func sameFailure(a, b *credential.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Reason == b.Reason && a.Message == b.Message && a.Terminal == b.Terminal
}

// current says whether pods of the target's namespace can pull from every registry. A write that fails takes nothing from the
// tokens that are there; a link that fails leaves pods without them.
func (s standing) current(registries []v1alpha1.RegistryStatus, now time.Time) bool {
	for _, r := range registries {
		if !s.entry(r.Name).expiresAt.After(now) {
			return false
		}
	}
	return !s.unlinked()
}

// unlinked says whether the target's ServiceAccounts lack its Secret.
func (s standing) unlinked() bool {
	return s.failure != nil && s.failure.Unlinked
}

// served says whether the target has held a token.
func (s standing) served() bool {
	for _, e := range s.entries {
		if !e.expiresAt.IsZero() {
			return true
		}
	}
	return false
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

// drop forgets a credential.
func (l *Ledger) drop(key credential.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.books, key)
}

// takeNews hands over what has not been told yet.
func (l *Ledger) takeNews(key credential.Key) []news {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[key]
	if b == nil {
		return nil
	}
	told := b.news
	b.news = nil
	return told
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

// maxRefreshRequest is the longest refresh request that counts, in bytes; status shows it.
const maxRefreshRequest = 64

// refreshRequest is the refresh request that stands on a credential; empty if there is none that counts.
func refreshRequest(c *credential.Credential) string {
	if value := c.Object.GetAnnotations()[v1alpha1.AnnotationRefreshRequestedAt]; len(value) <= maxRefreshRequest {
		return value
	}
	return ""
}
