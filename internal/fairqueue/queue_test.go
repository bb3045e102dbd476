package fairqueue

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

func limiter() workqueue.TypedRateLimiter[work] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[work](time.Second, time.Minute)
}

// watched is a queue on virtual time.
type watched struct {
	*testing.T
	priorityqueue.PriorityQueue[work]
}

func inTime(t *testing.T, test func(q watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		q := watched{t, New("", limiter(), 4, tenantOf)}
		defer q.ShutDown()
		test(q)
	})
}

// expect takes the next item, which must be this one at this time.
func (q watched) expect(want work, after time.Duration) (priority int) {
	q.Helper()
	began := time.Now()
	got, priority, _ := q.GetWithPriority()
	if waited := time.Since(began); got != want || waited != after {
		q.Fatalf("got %v after %s, want %v after %s", got, waited, want, after)
	}
	return priority
}

func TestWhatIsAddedForLaterIsDueThen(t *testing.T) {
	inTime(t, func(q watched) {
		a, b := work{"a", 1}, work{"b", 1}
		q.AddWithOpts(priorityqueue.AddOpts{After: time.Hour, Priority: new(-7)}, a)
		q.AddAfter(b, time.Minute)
		q.AddAfter(b, 2*time.Minute)
		q.expect(b, time.Minute)
		if p := q.expect(a, 59*time.Minute); p != -7 {
			q.Errorf("the priority is %d, want -7", p)
		}
		q.Done(a)
		q.Done(b)
		<-time.After(time.Hour)
		if n := q.Len(); n != 0 {
			q.Errorf("%d items are due once more", n)
		}
	})
}

func TestWhatIsAddedAtOnceIsNotDueAgainLater(t *testing.T) {
	inTime(t, func(q watched) {
		a := work{"a", 1}
		q.AddAfter(a, time.Hour)
		q.Add(a)
		q.expect(a, 0)
		q.Add(a) // so it is due when it is done, and need not come back later
		synctest.Wait()
		q.AddAfter(a, time.Hour)
		q.Done(a)
		q.expect(a, 0)
		q.Done(a)
		<-time.After(2 * time.Hour)
		if n := q.Len(); n != 0 {
			q.Errorf("%d items are due once more", n)
		}
	})
}

func TestErrorsAreSpacedOut(t *testing.T) {
	inTime(t, func(q watched) {
		a := work{"a", 1}
		for _, backoff := range []time.Duration{time.Second, 2 * time.Second} {
			q.AddRateLimited(a)
			q.expect(a, backoff)
			q.Done(a)
		}
		q.Add(a)
		synctest.Wait()
		q.AddRateLimited(a) // it is due already, but has failed
		if n := q.NumRequeues(a); n != 3 {
			q.Errorf("%d failures are counted, want 3", n)
		}
		q.Forget(a)
		q.expect(a, 0)
		q.AddRateLimited(a)
		q.Done(a)
		q.expect(a, time.Second)
	})
}

func TestAFloodOfWhatIsDueStopsAtTheDoor(t *testing.T) {
	inTime(t, func(q watched) {
		bad := flood("bad", 10_000)
		q.AddWithOpts(priorityqueue.AddOpts{}, bad...)
		synctest.Wait()
		q.AddWithOpts(priorityqueue.AddOpts{}, bad...)
		if n := q.PriorityQueue.(*queue[work]).PriorityQueue.Len(); n != 0 {
			q.Errorf("%d items stand before a neighbour's where there are no turns", n)
		}
		q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-300)}, work{"good", 0})
		synctest.Wait()
		if w, _ := q.Get(); w.tenant != "good" {
			if w, _ = q.Get(); w.tenant != "good" {
				q.Errorf("next is %v, want the neighbour's", w)
			}
		}
	})
}

// TestWorkers has tenants add the same items again and again while workers are at work.
func TestWorkers(t *testing.T) {
	inTime(t, func(q watched) {
		const workers, rounds = 4, 50
		var mu sync.Mutex
		working, busy, last := map[work]bool{}, map[string]int{}, map[work]int{}
		added := 0
		for range workers {
			go func() {
				for {
					w, shutdown := q.Get()
					if shutdown {
						return
					}
					mu.Lock()
					busy[w.tenant]++
					if working[w] || busy[w.tenant] > workers/2 {
						q.Errorf("%v is handed out; %d of its tenant are worked on", w, busy[w.tenant])
					}
					working[w], last[w] = true, added
					mu.Unlock()
					<-time.After(time.Duration(1+w.n) * time.Millisecond)
					mu.Lock()
					busy[w.tenant]--
					delete(working, w)
					mu.Unlock()
					q.Done(w)
				}
			}()
		}
		for range rounds {
			mu.Lock()
			added++
			mu.Unlock()
			q.AddWithOpts(priorityqueue.AddOpts{}, append(flood("a", 7), flood("b", 3)...)...)
			<-time.After(1700 * time.Microsecond)
		}
		<-time.After(time.Minute)
		q.Add(work{"c", 0}) // nobody has fallen asleep
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(last) != 11 {
			q.Errorf("%d items were worked on, want 11", len(last))
		}
		for w, at := range last {
			if at != rounds {
				q.Errorf("%v was added %d times, and worked on last before the %dth", w, rounds, at+1)
			}
		}
	})
}

func TestShutDownLetsWorkersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New("", limiter(), 4, tenantOf)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { // two have an item each, two wait
				if _, shutdown := q.Get(); shutdown {
					return
				}
			})
		}
		q.AddWithOpts(priorityqueue.AddOpts{}, flood("a", 10)...)
		synctest.Wait()
		q.ShutDown()
		wg.Wait()
		q.Add(work{"b", 0})
		if _, shutdown := q.Get(); !shutdown || !q.ShuttingDown() {
			t.Error("an item is handed out after the end")
		}
	})
}

func TestQueueIsMeasured(t *testing.T) {
	before := measured(t)
	q := New("measured", limiter(), 4, tenantOf)
	defer q.ShutDown()
	q.AddWithOpts(priorityqueue.AddOpts{}, flood("a", 3)...)
	item, _ := q.Get()
	q.Done(item)
	after := measured(t)
	for _, name := range []string{"workqueue_queue_duration_seconds", "workqueue_work_duration_seconds"} {
		if n := after[name] - before[name]; n != 1 {
			t.Errorf("%s counted %v items, want 1", name, n)
		}
	}
}

func measured(t *testing.T) map[string]uint64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "name" && l.GetValue() == "measured" {
					counts[f.GetName()] = m.GetHistogram().GetSampleCount()
				}
			}
		}
	}
	return counts
}

// BenchmarkQueue has one item of each of 10,000 namespaces pass 32 workers.
func BenchmarkQueue(b *testing.B) {
	const namespaces, workers = 10_000, 32
	items := make([]work, namespaces)
	for i := range items {
		items[i] = work{fmt.Sprint("namespace-", i), 0}
	}
	for name, queue := range map[string]func() priorityqueue.PriorityQueue[work]{
		"controller-runtime": func() priorityqueue.PriorityQueue[work] { return priorityqueue.New[work]("") },
		"fair":               func() priorityqueue.PriorityQueue[work] { return New("", limiter(), workers, tenantOf) },
	} {
		b.Run(name, func(b *testing.B) {
			q := queue()
			var pass, all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for {
						w, _, shutdown := q.GetWithPriority()
						if shutdown {
							return
						}
						q.Done(w)
						pass.Done()
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				pass.Add(namespaces)
				for _, w := range items {
					q.Add(w)
				}
				pass.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*namespaces), "ns/item")
			q.ShutDown()
			all.Wait()
		})
	}
}
