package pulls

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

const (
	// evictionSpacing bounds evictions to five in a second, one after the other, with some room for what requests take.
	evictionSpacing = 225 * time.Millisecond
	// evictionDistance is the least time from the end of one eviction to the next: no second holds more than five.
	evictionDistance = 205 * time.Millisecond
	// evictAgain is how long no other pod of an owner is evicted.
	evictAgain = 10 * time.Minute
	// claimedFor is longer than any eviction waits, and maxOwners bounds the owners whose pods were evicted or wait for it.
	claimedFor = time.Hour
	maxOwners  = 8192
	// futileFor is how long an owner whose pods came back without the link, and fail, is left alone.
	futileFor = 24 * time.Hour
)

// workload is what owns pods, in its namespace.
type workload struct {
	namespace string
	uid       types.UID
}

// evictions remembers the owners of evicted pods.
type evictions struct {
	pacer *pacer
	// at is when a pod of an owner was evicted last; the zero time while one waits for its turn.
	at *expiring.Map[workload, time.Time]

	mu sync.Mutex
	// last is when the last eviction ended, and busy whether one is under way: turns that are late must not come together.
	last time.Time
	busy bool
	// known are the namespaces whose earlier evictions are in at.
	known *expiring.Map[string, struct{}]
	// futile are owners whose pods came back without the link.
	futile *expiring.Map[workload, struct{}]
}

func newEvictions(c clock.PassiveClock) *evictions {
	return &evictions{
		pacer:  newPacer(c, evictionSpacing, 1),
		at:     expiring.Shared(c, claimedFor, maxOwners, maxOwners/shares, ofWorkload[time.Time]),
		known:  expiring.New[string, struct{}](c, evictAgain, maxRemembered),
		futile: expiring.Shared(c, futileFor, maxRemembered, maxRemembered/shares, ofWorkload[struct{}]),
	}
}

func ofWorkload[V any](w workload, _ V) (namespace string) { return w.namespace }

// claim takes the only eviction of an owner in ten minutes.
func (e *evictions) claim(owner workload, now time.Time) (ok bool) {
	e.at.Update(owner, func(at time.Time, known bool) time.Time {
		if ok = !known || evictedBefore(at, now); ok {
			return time.Time{}
		}
		return at
	})
	return ok
}

// evictedBefore says whether an eviction is so long ago that there may be another.
func evictedBefore(at, now time.Time) bool { return !at.IsZero() && now.Sub(at) >= evictAgain }

// giveBack lets the claim of an eviction go that has not come to pass.
func (e *evictions) giveBack(owner workload) {
	if at, known := e.at.Get(owner); known && at.IsZero() {
		e.at.Delete(owner)
	}
}

// wait is how much longer an eviction whose turn has come must wait; 0 lets it through, and none after it until it is settled.
func (e *evictions) wait(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return evictionDistance
	}
	if wait := e.last.Add(evictionDistance).Sub(now); wait > 0 {
		return wait
	}
	e.busy = true
	return 0
}

// recalled says whether the evictions in a namespace were recalled.
func (e *evictions) recalled(namespace string) bool {
	_, known := e.known.Get(namespace)
	return known
}

// recall takes in an eviction of an earlier leader.
func (e *evictions) recall(owner workload, at time.Time) {
	e.at.Update(owner, func(known time.Time, _ bool) time.Time {
		if at.After(known) {
			return at
		}
		return known
	})
}

// settle takes the end of an eviction; one that did not happen gives the claim back.
func (e *evictions) settle(owner workload, evicted bool, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.busy = now, false
	if evicted {
		e.at.Put(owner, now)
		return
	}
	e.at.Delete(owner)
}

// recreated says whether the pod of an owner was created after another had been evicted: then that has not helped, and never will.
func (e *evictions) recreated(owner workload, createdAt, now time.Time) bool {
	_, futile := e.futile.Get(owner)
	at, known := e.at.Get(owner)
	evicted := known && !at.IsZero() && !evictedBefore(at, now)
	if !futile && (!evicted || createdAt.Before(at.Truncate(time.Second))) {
		return false
	}
	e.futile.Put(owner, struct{}{})
	return true
}
