// Package contention spaces out what we do because of somebody else who does something again and again.
package contention

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

const (
	// perMinute is how often something is done about a thing in a minute, however often somebody else makes it necessary.
	perMinute = 6
	// firstWait doubles each time beyond that, up to longestWait.
	firstWait   = 10 * time.Second
	longestWait = 5 * time.Minute
	// forgottenAfter is how long after the last time a thing counts as new.
	forgottenAfter = 10 * time.Minute
)

// Budget is how often something may be done about each thing.
type Budget[K comparable] struct {
	clock clock.PassiveClock
	spent *expiring.Map[K, spent]
}

// spent is what was done about one thing lately, and because of whom.
type spent struct {
	rival string
	since time.Time
	times int
	waits int
	until time.Time
}

// New returns a Budget that remembers at most bound things, and at most share of one owner.
func New[K comparable](c clock.PassiveClock, bound, share int, ownerOf func(K) string) *Budget[K] {
	return &Budget[K]{clock: c, spent: expiring.Shared(c, forgottenAfter, bound, share, func(thing K, _ spent) string { return ownerOf(thing) })}
}

// Wait is how long the next time has to wait, and who has made the last one necessary; 0 if it need not.
func (b *Budget[K]) Wait(thing K) (left time.Duration, rival string) {
	known, _ := b.spent.Get(thing)
	return max(0, known.until.Sub(b.clock.Now())), known.rival
}

// Recent says whether anything was done about the thing lately.
func (b *Budget[K]) Recent(thing K) bool {
	_, known := b.spent.Get(thing)
	return known
}

// Spend notes that something was done, because of what the rival had done.
func (b *Budget[K]) Spend(thing K, rival string) {
	now := b.clock.Now()
	b.spent.Update(thing, func(known spent, _ bool) spent { return known.more(now, rival) })
}

// more counts one more time.
func (s spent) more(now time.Time, rival string) spent {
	if now.Sub(s.since) >= time.Minute && !now.Before(s.until) && s.times <= perMinute {
		s = spent{since: now}
	}
	s.rival = rival
	s.times++
	if s.times > perMinute {
		s.until = now.Add(min(firstWait<<min(s.waits, 10), longestWait))
		s.waits++
	}
	return s
}
