package pulls

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/internal/expiring"
)

const (
	// failingAtOnce bounds the failures that are looked into at a time, and failingInOne those of one namespace; what comes on top is
	// dropped, and the kubelet says it again.
	failingAtOnce = 8192
	failingInOne  = failingAtOnce / shares
	// maxRemembered bounds what is remembered of failures that were looked into.
	maxRemembered = 8192
	// closedFor is how long a failure of one pod and image is not looked into again. The kubelet backs off from 10 s to 5 min.
	closedFor = time.Minute
	// tellAgain is how long the same is not told again.
	tellAgain = 10 * time.Minute
	// namespacesAtOnce is how many namespaces tell a credential of the cluster of the same cause at once, and then one every tellEvery: each
	// says it once, and there may be thousands.
	namespacesAtOnce, tellEvery = 8, time.Minute
	// waitFor and waitMost are after how long, and how often, a failure is looked into again while what lacks is on its way.
	waitFor  = 5 * time.Second
	waitMost = 3
	// podsPerSecond bounds the reads of pods, and podBurst how many are read at once.
	podsPerSecond, podBurst = 20, 10
)

// failing is the memory of pulls that fail. All of it is bounded, however many do.
type failing struct {
	pods *pacer

	mu   sync.Mutex
	open map[diagnosis.FailedPull]*investigation
	// of counts those that are open, by namespace.
	of map[string]int
	// closed are failures that were looked into lately, and told what was told lately: sums of them, which take less.
	closed, told *expiring.Map[sum, struct{}]
	// causes are how many more namespaces may tell a credential of the cluster of a cause.
	causes *expiring.Map[teller, *rate.Limiter]
}

// sum stands for something in a namespace.
type sum struct {
	namespace string
	of        uint64
}

// seed makes sums that nobody can foresee.
var seed = maphash.MakeSeed()

func sumOf[T comparable](namespace string, of T) sum {
	return sum{namespace, maphash.Comparable(seed, of)}
}

// investigation is a failure that is being looked into. It belongs to the worker that has the failure: an item has one at a time.
type investigation struct {
	// read is the place among the reads of pods, and evict that among the evictions, once there is an owner whose pod this is.
	read, evict ticket
	owner       workload
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
		pods: newPacer(c, time.Second/podsPerSecond, podBurst), open: map[diagnosis.FailedPull]*investigation{}, of: map[string]int{},
		closed: newSums(c, closedFor),
		told:   newSums(c, tellAgain),
		causes: expiring.New[teller, *rate.Limiter](c, tellAgain, maxRemembered),
	}
}

func newSums(c clock.PassiveClock, ttl time.Duration) *expiring.Map[sum, struct{}] {
	return expiring.Shared(c, ttl, maxRemembered, maxRemembered/shares, func(s sum, _ struct{}) string { return s.namespace })
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
	if f.open[p] != nil || len(f.open) >= failingAtOnce || f.of[p.Namespace] >= failingInOne {
		return false
	}
	if _, lately := f.closed.Get(sumOf(p.Namespace, p)); lately {
		return false
	}
	f.open[p] = &investigation{}
	f.of[p.Namespace]++
	return true
}

// investigation returns what is known of an open failure; nil if it is not open.
func (f *failing) investigation(p diagnosis.FailedPull) *investigation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[p]
}

func (f *failing) close(p diagnosis.FailedPull) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, p)
	if f.of[p.Namespace]--; f.of[p.Namespace] == 0 {
		delete(f.of, p.Namespace)
	}
	f.closed.Put(sumOf(p.Namespace, p), struct{}{})
}

// tell says whether the cause is news of a namespace about a pod or a credential.
func (f *failing) tell(namespace string, about any, cause string) bool {
	return f.told.Add(sumOf(namespace, teller{about, cause}), struct{}{})
}

// tellCredential says whether the cause is news of a namespace about a credential, which may hear of it from so many at a time only. Whoever is not
// let through has told nothing, and has its turn when there is room.
func (f *failing) tellCredential(namespace string, key credential.Key, cause string, now time.Time) bool {
	if !f.tell(namespace, key, cause) {
		return false
	}
	let := f.bears(key, cause, now)
	if !let {
		f.told.Delete(sumOf(namespace, teller{key, cause}))
	}
	return let
}

// bears says whether the credential can be told of the cause by one more namespace. That of a namespace hears no other.
func (f *failing) bears(key credential.Key, cause string, now time.Time) bool {
	if key.Namespace != "" {
		return true
	}
	return f.causes.Update(teller{key, cause}, func(known *rate.Limiter, ok bool) *rate.Limiter {
		if ok {
			return known
		}
		return rate.NewLimiter(rate.Every(tellEvery), namespacesAtOnce)
	}).AllowN(now, 1)
}
