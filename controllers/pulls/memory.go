package pulls

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/internal/expiring"
)

const (
	// failingAtOnce bounds the failures that are looked into at a time; what comes on top is dropped, and the kubelet says it again.
	failingAtOnce = 8192
	// failingRemembered bounds what is remembered of failures that were looked into.
	failingRemembered = 8192
	// lookAgain is how long a failure of one pod and image is not looked into again. The kubelet backs off from 10 s to 5 min.
	lookAgain = time.Minute
	// tellAgain is how long the same is not told again.
	tellAgain = 10 * time.Minute
	// waitFor and waitMost are after how long, and how often, a failure is looked into again while what lacks is on its way.
	waitFor  = 5 * time.Second
	waitMost = 3
	// podsPerSecond bounds the reads of pods, and podBurst how many are read at once.
	podsPerSecond, podBurst = 20, 10
)

// failing is the memory of pulls that fail. All of it is bounded, however many do.
type failing struct {
	mu   sync.Mutex
	pods *rate.Limiter
	open map[diagnosis.FailedPull]*look
	// closed are failures that were looked into lately, and told what was told lately: sums of them, which take less.
	closed, told *expiring.Map[uint64, struct{}]
}

// seed makes sums that nobody can foresee.
var seed = maphash.MakeSeed()

// look is a failure that is being looked into.
type look struct {
	// turn is when the pod may be read, and evict when it may be evicted.
	turn, evict time.Time
	pod         *puller
	counted     bool
	// waits is how often it was too early to speak.
	waits int
}

// teller is what was told of a pod or a credential.
type teller struct {
	about any
	cause string
}

func newFailing(c clock.PassiveClock) *failing {
	return &failing{
		pods: rate.NewLimiter(podsPerSecond, podBurst), open: map[diagnosis.FailedPull]*look{},
		closed: expiring.New[uint64, struct{}](c, lookAgain, failingRemembered),
		told:   expiring.New[uint64, struct{}](c, tellAgain, failingRemembered),
	}
}

// Open is how many failures are being looked into.
func (r *Reconciler) Open() int {
	r.failing.mu.Lock()
	defer r.failing.mu.Unlock()
	return len(r.failing.open)
}

// admit says whether a failure is to be looked into.
func (f *failing) admit(p diagnosis.FailedPull) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[p] != nil || len(f.open) >= failingAtOnce {
		return false
	}
	if _, lately := f.closed.Get(maphash.Comparable(seed, p)); lately {
		return false
	}
	f.open[p] = &look{}
	return true
}

// look returns what is known of an open failure; nil if it is not open.
func (f *failing) look(p diagnosis.FailedPull) *look {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[p]
}

func (f *failing) close(p diagnosis.FailedPull) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, p)
	f.closed.Put(maphash.Comparable(seed, p), struct{}{})
}

// readPod is how long to wait before the pod may be read. Each failure has one turn, and keeps it.
func (f *failing) readPod(l *look, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.turn.IsZero() {
		l.turn = now.Add(f.pods.ReserveN(now, 1).DelayFrom(now))
	}
	return l.turn.Sub(now)
}

// tell says whether the cause is news about a pod or a credential.
func (f *failing) tell(about any, cause string) bool {
	return f.told.Add(maphash.Comparable(seed, teller{about, cause}), struct{}{})
}

const (
	// evictionSpacing bounds evictions to five in a second, one after the other, with some room for what requests take.
	evictionSpacing = 225 * time.Millisecond
	// evictionDistance is the least time from the end of one eviction to the next: no second holds more than five.
	evictionDistance = 205 * time.Millisecond
	// evictAgain is how long no other pod of an owner is evicted.
	evictAgain = 10 * time.Minute
	// futileFor is how long an owner whose pods came back without the link, and fail, is left alone.
	futileFor = 24 * time.Hour
)

// evictions remembers the owners of evicted pods.
type evictions struct {
	mu    sync.Mutex
	limit *rate.Limiter
	// at is when a pod of an owner was evicted last, or will be: its end is not that of a time after it was put. It is bounded by
	// evictionSpacing and evictAgain, and by failingAtOnce.
	at map[types.UID]time.Time
	// last is when the last eviction ended, and busy whether one is under way: turns that are late must not come together.
	last time.Time
	busy bool
	// known are the namespaces whose earlier evictions are in at.
	known *expiring.Map[string, struct{}]
	// futile are owners whose pods came back without the link.
	futile *expiring.Map[types.UID, struct{}]
}

func newEvictions(c clock.PassiveClock) *evictions {
	return &evictions{
		limit:  rate.NewLimiter(rate.Every(evictionSpacing), 1),
		at:     map[types.UID]time.Time{},
		known:  expiring.New[string, struct{}](c, evictAgain, failingRemembered),
		futile: expiring.New[types.UID, struct{}](c, futileFor, failingRemembered),
	}
}

// claim takes the only eviction of an owner in ten minutes, and says when it may happen.
func (e *evictions) claim(owner types.UID, now time.Time) (at time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(now)
	if _, claimed := e.at[owner]; claimed {
		return time.Time{}, false
	}
	at = now.Add(e.limit.ReserveN(now, 1).DelayFrom(now))
	e.at[owner] = at
	return at, true
}

// hold is how much longer an eviction whose turn has come must wait; 0 lets it through, and none after it until it is settled.
func (e *evictions) hold(now time.Time) time.Duration {
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

// recalled says whether the evictions in a namespace were recalled. It says no once.
func (e *evictions) recalled(namespace string) bool { return !e.known.Add(namespace, struct{}{}) }

// recall takes in an eviction of an earlier leader.
func (e *evictions) recall(owner types.UID, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.After(e.at[owner]) {
		e.at[owner] = at
	}
}

// settle takes the end of an eviction; one that did not happen gives the claim back.
func (e *evictions) settle(owner types.UID, evicted bool, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(now)
	e.last, e.busy = now, false
	if evicted {
		e.at[owner] = now
		return
	}
	delete(e.at, owner)
}

// sweep forgets owners that may be met again. The caller holds the lock.
func (e *evictions) sweep(now time.Time) {
	for other, at := range e.at {
		if now.Sub(at) >= evictAgain {
			delete(e.at, other)
		}
	}
}

// recreated says whether the pod of an owner was created after another had been evicted: then that has not helped, and never will.
func (e *evictions) recreated(owner types.UID, createdAt time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, futile := e.futile.Get(owner)
	at, evicted := e.at[owner]
	if !futile && (!evicted || createdAt.Before(at.Truncate(time.Second))) {
		return false
	}
	e.futile.Put(owner, struct{}{})
	return true
}
