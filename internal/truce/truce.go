// Package truce spaces out the repairs of what somebody else changes again and again.
package truce

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

const (
	// perMinute is how often a thing is repaired in a minute, however often somebody else changes it.
	perMinute = 6
	// first doubles with each repair beyond that, up to Longest.
	first = 10 * time.Second
	// Longest is the longest time that a repair has to wait.
	Longest = 5 * time.Minute
	// peace is after how long without a repair a fight is forgotten.
	peace = 10 * time.Minute
)

// Fights remembers what was repaired lately.
type Fights[K comparable] struct {
	clock clock.PassiveClock
	known *expiring.Map[K, fight]
}

// fight is how often one thing was repaired lately, and against whom.
type fight struct {
	rival   string
	since   time.Time
	repairs int
	truces  int
	until   time.Time
}

// New returns Fights of which at most bound are remembered, and share of those that are one owner's.
func New[K comparable](c clock.PassiveClock, bound, share int, ownerOf func(K) string) *Fights[K] {
	return &Fights[K]{clock: c, known: expiring.Shared(c, peace, bound, share, func(thing K, _ fight) string { return ownerOf(thing) })}
}

// Truce is how long the next repair of a thing has to wait, and who has made the last one necessary; 0 if it need not.
func (f *Fights[K]) Truce(thing K) (left time.Duration, rival string) {
	known, _ := f.known.Get(thing)
	return max(0, known.until.Sub(f.clock.Now())), known.rival
}

// Fighting says whether a thing was repaired lately.
func (f *Fights[K]) Fighting(thing K) bool {
	_, known := f.known.Get(thing)
	return known
}

// Repaired notes a repair of what the rival had changed.
func (f *Fights[K]) Repaired(thing K, rival string) {
	now := f.clock.Now()
	f.known.Update(thing, func(known fight, _ bool) fight { return known.next(now, rival) })
}

// next is the fight after one more repair.
func (f fight) next(now time.Time, rival string) fight {
	if now.Sub(f.since) >= time.Minute && !now.Before(f.until) && f.repairs <= perMinute {
		f = fight{since: now}
	}
	f.rival = rival
	f.repairs++
	if f.repairs > perMinute {
		f.until = now.Add(min(first<<min(f.truces, 10), Longest))
		f.truces++
	}
	return f
}
