package pulls

import (
	"hash/maphash"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/internal/expiring"
)

const (
	// failingAtOnce bounds the failures that are looked into at a time, and failingInOne those of one namespace; what comes on top is
	// dropped, and the kubelet says it again.
	failingAtOnce = 8192
	failingInOne  = failingAtOnce / shares
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
	pods *lane

	mu   sync.Mutex
	open map[diagnosis.FailedPull]*look
	// of counts those that are open, by namespace.
	of map[string]int
	// closed are failures that were looked into lately, and told what was told lately: sums of them, which take less.
	closed, told *expiring.Map[uint64, struct{}]
}

// seed makes sums that nobody can foresee.
var seed = maphash.MakeSeed()

// look is a failure that is being looked into.
type look struct {
	// read is the place in the lane for reads of pods, and evict that in the lane for evictions, once there is an owner whose pod this is.
	read, evict ticket
	owner       types.UID
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
		pods: newLane(c, time.Second/podsPerSecond, podBurst), open: map[diagnosis.FailedPull]*look{}, of: map[string]int{},
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
	if f.open[p] != nil || len(f.open) >= failingAtOnce || f.of[p.Namespace] >= failingInOne {
		return false
	}
	if _, lately := f.closed.Get(maphash.Comparable(seed, p)); lately {
		return false
	}
	f.open[p] = &look{}
	f.of[p.Namespace]++
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
	if f.of[p.Namespace]--; f.of[p.Namespace] == 0 {
		delete(f.of, p.Namespace)
	}
	f.closed.Put(maphash.Comparable(seed, p), struct{}{})
}

// tell says whether the cause is news about a pod or a credential.
func (f *failing) tell(about any, cause string) bool {
	return f.told.Add(maphash.Comparable(seed, teller{about, cause}), struct{}{})
}
