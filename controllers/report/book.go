package report

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
)

// book is the part of the Ledger that concerns one credential. Whoever enters it has it for itself.
type book struct {
	sync.Mutex
	// closed is whether the credential is no more.
	closed bool
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

// enter is the book of a credential, which is the caller's until it unlocks it; nil if there is none.
func (l *Ledger) enter(key credential.Key) *book {
	for {
		l.mu.Lock()
		b := l.books[key]
		l.mu.Unlock()
		if b == nil {
			return nil
		}
		b.Lock()
		if !b.closed {
			return b
		}
		b.Unlock()
	}
}

// open enters the book of a credential, be it a new one.
func (l *Ledger) open(key credential.Key, now time.Time) *book {
	for {
		l.mu.Lock()
		if l.books[key] == nil {
			if l.books == nil {
				l.books = map[credential.Key]*book{}
			}
			l.books[key] = &book{
				opened: now, targets: map[string]standing{}, writes: map[target.Cause]int{}, pullFailures: map[string]int{},
				minted: map[string]minted{}, latest: map[string]toldToken{},
			}
		}
		l.mu.Unlock()
		if b := l.enter(key); b != nil {
			return b
		}
	}
}

// close closes a book that the caller has entered. Who waits for it goes on to the next of that name.
func (l *Ledger) close(key credential.Key, b *book) {
	b.closed = true
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.books, key)
}

// forgetRemoved drops what is known of entries that the spec names no longer: one that is renamed again and again leaves nothing behind.
func (b *book) forgetRemoved(c *credential.Credential) {
	maps.DeleteFunc(b.minted, func(name string, _ minted) bool { return c.Entry(name) == nil })
	maps.DeleteFunc(b.latest, func(name string, _ toldToken) bool { return c.Entry(name) == nil })
}
