package pulls

import (
	"container/heap"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
)

func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// stormOf is how many pods fail at once.
const stormOf = 2000

// due is a failure that is to be looked into at a time.
type due struct {
	at      time.Time
	failure diagnosis.FailedPull
}

// agenda is what a controller's queue does, by the fake clock.
type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// storm is a world in which so many pods fail that only their reads and evictions are counted: pods that are in no API server.
type storm struct {
	*world
	ns string
	// read and evicted are when.
	read, evicted []time.Time
	owners        map[string]bool
}

func newStorm(t *testing.T, pod func(ns string, n int) *corev1.Pod) *storm {
	t.Helper()
	p, ns := evicting(t)
	s := &storm{world: p, ns: ns, owners: map[string]bool{}}
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: p.admin.Scheme()})
	p.must(err)
	p.Live = interceptor.NewClient(watched, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if target, ok := o.(*corev1.Pod); ok {
			s.read = append(s.read, p.time.Now())
			var n int
			_, err := fmt.Sscanf(key.Name, "app-%d", &n)
			pod(ns, n).DeepCopyInto(target)
			return err
		}
		return c.Get(ctx, key, o, opts...)
	}})
	p.Client = interceptor.NewClient(watched, interceptor.Funcs{SubResourceCreate: func(_ context.Context, _ client.Client, subresource string, o, _ client.Object, _ ...client.SubResourceCreateOption) error {
		if subresource != "eviction" || s.owners[o.GetName()] {
			t.Errorf("%s of %s", subresource, o.GetName())
		}
		s.owners[o.GetName()] = true
		s.evicted = append(s.evicted, p.time.Now())
		return nil
	}})
	p.recorder = events.NewFakeRecorder(4 * stormOf)
	live, writer, cache := p.Live, p.Client, informed(t, p)
	p.lead()
	p.Live, p.Client, p.Cache = live, writer, cache
	p.startedAt = p.time.Now().Add(-evictAgain) // nobody was here before
	return s
}

// informed is the cache that the controller has, which makes reads cost nothing.
func informed(t *testing.T, p *world) client.Reader {
	t.Helper()
	options := view.Options(nil)
	options.Scheme = p.admin.Scheme()
	c, err := cache.New(cluster.Config, options)
	p.must(err)
	view := &view.Caches{Cache: c}
	p.must(view.Prepare(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !c.WaitForCacheSync(ctx) {
		t.Fatal("the cache does not fill")
	}
	return view
}

func stormPod(ns string, n int) *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.UID = ns, fmt.Sprintf("app-%d", n), types.UID(fmt.Sprintf("pod-%d", n))
	pod.Spec.ServiceAccountName = "default"
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: imageIn("eu-west-1")}}
	ownedBy(fmt.Sprintf("owner-%d", n))(pod)
	return pod
}

// blow makes all pods fail, several times, and works until nothing is left to do.
func (s *storm) blow(pod func(ns string, n int) *corev1.Pod) {
	s.Helper()
	for range 2 {
		for n := range stormOf {
			o := pod(s.ns, n)
			e := kubeletEvent(fmt.Sprintf("Failed to pull image %q: %s", o.Spec.Containers[0].Image, unauthorized))
			e.Namespace = o.Namespace
			e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.InvolvedObject.UID = o.Namespace, o.Name, o.UID
			s.Take(e)
		}
	}
	var todo agenda
	for len(s.failing.open) > 0 {
		for len(s.queue) > 0 {
			heap.Push(&todo, due{s.time.Now(), <-s.queue})
		}
		if len(todo) == 0 {
			select { // a trial is under way
			case f := <-s.queue:
				heap.Push(&todo, due{s.time.Now(), f})
			case <-time.After(10 * time.Second):
				s.Fatal("nobody brings the failures back")
			}
		}
		d := heap.Pop(&todo).(due)
		if d.at.After(s.time.Now()) {
			s.time.SetTime(d.at)
		}
		result, err := s.Reconcile(s.Context(), d.failure)
		s.must(err)
		if result.RequeueAfter > 0 {
			heap.Push(&todo, due{s.time.Now().Add(result.RequeueAfter), d.failure})
		}
	}
}

// perSecond is the largest number of times in any second.
func perSecond(times []time.Time) int {
	most, first := 0, 0
	for i, at := range times {
		for !times[first].After(at.Add(-time.Second)) {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestAStormOfFailuresEvictsFivePodsASecond(t *testing.T) {
	s := newStorm(t, stormPod)
	s.blow(stormPod)
	if got := len(s.evicted); got != stormOf {
		t.Errorf("%d pods evicted, want %d", got, stormOf)
	}
	if got := perSecond(s.evicted); got > 5 {
		t.Errorf("%d evictions in a second", got)
	}
	// Each pod is read twice: to diagnose it, and just before it is evicted.
	if got := perSecond(s.read); got > podsPerSecond+podBurst+5 {
		t.Errorf("%d pods read in a second", got)
	}
	if got := len(s.read); got > 2*stormOf {
		t.Errorf("%d reads of %d pods", got, stormOf)
	}
}

func TestAStormOfRefusedTokensCondemnsOnce(t *testing.T) {
	named := func(ns string, n int) *corev1.Pod {
		pod := stormPod(ns, n)
		names(ns)(pod)
		return pod
	}
	s := newStorm(t, named)
	s.registry.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
	s.blow(named)
	if s.registry.refusals != 1 || s.published.woken != 1 {
		t.Errorf("condemned %d times, all targets woken %d times", s.registry.refusals, s.published.woken)
	}
	if len(s.evicted) != 0 {
		t.Errorf("%d pods evicted that have the Secret", len(s.evicted))
	}
}

func TestMoreFailuresThanFitAreDropped(t *testing.T) {
	p, ns := newWorld(t)
	for n := range 2 * failingInOne {
		p.Take(kubeletEventOf(ns, n))
	}
	if got := len(p.failing.open); got != failingInOne {
		t.Errorf("%d failures of one namespace are open, want %d", got, failingInOne)
	}
	for n := range 2 * failingAtOnce {
		p.Take(kubeletEventOf(fmt.Sprintf("%s-%d", ns, n), n))
	}
	if got := len(p.failing.open); got != failingAtOnce {
		t.Errorf("%d failures are open, want %d", got, failingAtOnce)
	}
	if got := len(p.queue); got != failingAtOnce {
		t.Errorf("%d failures are queued, want %d", got, failingAtOnce)
	}
}

func kubeletEventOf(ns string, n int) *corev1.Event {
	e := kubeletEvent(`Failed to pull image "a": 401 Unauthorized`)
	e.Namespace = ns
	e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.InvolvedObject.UID = ns, fmt.Sprintf("app-%d", n), types.UID(fmt.Sprintf("pod-%d", n))
	return e
}
