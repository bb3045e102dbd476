package year

import (
	"container/heap"
	"sync"
	"time"

	"github.com/regcred/regcred/controllers/credential"
)

// agenda is when each target is looked at next: at the earliest time that anybody has asked for. It stands in for the queue of
// controller-runtime, which makes a ticker for each wait: in a bubble those go on for ever.
type agenda struct {
	entries map[credential.Target]*appointment
	order   appointments
	added   int
	// failures counts those in a row of each target, as the controller's rate limiter does.
	failures map[credential.Target]int

	mu    sync.Mutex
	woken []credential.Target
	rung  chan struct{}
}

type appointment struct {
	target credential.Target
	at     time.Time
	number int
	place  int
}

func newAgenda() *agenda {
	return &agenda{entries: map[credential.Target]*appointment{}, failures: map[credential.Target]int{}, rung: make(chan struct{}, 1)}
}

// wake brings a target back at once. Brokers call it from wherever their calls end.
func (a *agenda) wake(t credential.Target, _ int) {
	a.mu.Lock()
	a.woken = append(a.woken, t)
	a.mu.Unlock()
	select {
	case a.rung <- struct{}{}:
	default:
	}
}

func (a *agenda) add(t credential.Target, at time.Time) {
	entry := a.entries[t]
	switch {
	case entry == nil:
		a.added++
		entry = &appointment{target: t, at: at, number: a.added}
		a.entries[t] = entry
		heap.Push(&a.order, entry)
	case at.Before(entry.at):
		entry.at = at
		heap.Fix(&a.order, entry.place)
	}
}

// next waits for the next target, or for the end of the world.
func (a *agenda) next(end time.Time) (t credential.Target, ok bool) {
	for {
		a.mu.Lock()
		woken := a.woken
		a.woken = nil
		a.mu.Unlock()
		for _, t := range woken {
			a.add(t, time.Now())
		}
		until := end
		if len(a.order) > 0 && a.order[0].at.Before(end) {
			until = a.order[0].at
		}
		wait := time.Until(until)
		if wait <= 0 {
			if until.Equal(end) {
				return t, false
			}
			first := heap.Pop(&a.order).(*appointment)
			delete(a.entries, first.target)
			return first.target, true
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-a.rung:
			timer.Stop()
		}
	}
}

// failed has the target come back as the controllers' rate limiter would.
func (a *agenda) failed(t credential.Target) {
	a.failures[t]++
	a.add(t, time.Now().Add(min(2*time.Minute, 50*time.Millisecond<<min(a.failures[t], 16))))
}

// appointments are a heap: the first is the earliest, and of those the one that was added first.
type appointments []*appointment

func (a appointments) Len() int { return len(a) }
func (a appointments) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].number < a[j].number
}

func (a appointments) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

func (a *appointments) Push(e any) {
	e.(*appointment).place = len(*a)
	*a = append(*a, e.(*appointment))
}

func (a *appointments) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
