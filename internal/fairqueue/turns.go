package fairqueue

import (
	"container/heap"
	"sync"

	"github.com/regcred/regcred/internal/ranking"
)

// turns is the order of items that are due. In each round every tenant has one turn, those with the most urgent item first; nobody is
// overtaken by the same tenant more than twice. Among a tenant's own items, too, urgency goes first, and none waits for ever.
//
// It is the storage of a workqueue.Typed, whose lock is held at Touch, Push, Len and Pop; the own lock is for what is told from elsewhere.
type turns[T comparable] struct {
	tenantOf func(T) string
	// share is how many items of a tenant are worked on at most at a time.
	share int

	mu     sync.Mutex
	closed bool
	// items are those that are about to be pushed, wait for their turn or are worked on, and queued is how many wait.
	items   map[T]*item[T]
	queued  int
	tenants map[string]*tenant[T]
	// next are the tenants that have an item and a worker left.
	next  ranking.Of[*tenant[T]]
	round int
	// served are tenants with nothing left that have had their turn; they are remembered until the round ends.
	served []*tenant[T]
	// pushed counts items, so that equals go by age.
	pushed int
	// most is how many items there have been at a time since the maps were made.
	most int
}

// maxOvertakes bounds what a priority can do: it is worth at most that many items of the same tenant.
const maxOvertakes = 1000

// crowd is from how many items on the maps are given back, which never shrink, when all is done.
const crowd = 1000

func newTurns[T comparable](share int, tenantOf func(T) string) *turns[T] {
	return &turns[T]{
		tenantOf: tenantOf, share: share, items: map[T]*item[T]{}, tenants: map[string]*tenant[T]{},
	}
}

// announce tells the priority of what is added next, and returns what stands for it.
func (q *turns[T]) announce(key T, priority int) *item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, ok := q.items[key]
	if !ok {
		it = &item[T]{key: key, place: -1}
		q.items[key] = it
		q.most = max(q.most, len(q.items))
	}
	if it.announced {
		priority = max(it.next, priority)
	}
	it.announced, it.next = true, priority
	return it
}

// raise makes an item more urgent, and says whether it is due.
func (q *turns[T]) raise(key T, priority int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch it, ok := q.items[key]; {
	case ok && it.announced:
		it.next = max(it.next, priority)
	case ok && it.place >= 0:
		q.urge(it, priority)
	default:
		return false
	}
	return true
}

func (q *turns[T]) urge(it *item[T], priority int) {
	if priority <= it.priority {
		return
	}
	it.priority = priority
	it.rank = min(it.rank, q.rank(priority))
	heap.Fix(&it.tenant.items, it.place)
	q.queue(it.tenant)
}

// Touch takes an item that was added again.
func (q *turns[T]) Touch(it *item[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.announced { // if not, Push has taken it
		it.announced = false
		q.urge(it, it.next)
	}
}

// Push takes a new item.
func (q *turns[T]) Push(it *item[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	name := q.tenantOf(it.key)
	t, ok := q.tenants[name]
	if !ok {
		t = &tenant[T]{name: name, place: -1}
		q.tenants[name] = t
	}
	it.tenant, it.announced, it.priority, it.rank = t, false, it.next, q.rank(it.next)
	q.pushed++
	q.queued++
	heap.Push(&t.items, it)
	q.queue(t)
}

// Len is 0 when there is nothing to hand out.
func (q *turns[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	return len(q.next)
}

// Pop hands out the next item.
func (q *turns[T]) Pop() *item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := heap.Pop(&q.next).(*tenant[T])
	q.begin(t.round)
	it := heap.Pop(&t.items).(*item[T])
	it.taken = true
	q.queued--
	t.busy++
	t.round = q.round + 1
	q.queue(t)
	return it
}

// done returns what stood for an item that is worked on no longer.
func (q *turns[T]) done(key T) *item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.items[key]
	it.taken = false
	t := it.tenant
	t.busy--
	q.queue(t)
	if t.idle() {
		q.served = append(q.served, t)
	}
	if len(q.next) == 0 {
		q.begin(q.round + 1) // nobody waits, so nobody has to be remembered
	}
	return it
}

// forget drops an item that is done, unless it has come again.
func (q *turns[T]) forget(it *item[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.announced || it.taken || it.place >= 0 || q.items[it.key] != it {
		return
	}
	delete(q.items, it.key)
	if len(q.items) == 0 && len(q.tenants) == 0 && q.most > crowd {
		q.items, q.tenants, q.most = map[T]*item[T]{}, map[string]*tenant[T]{}, 0
	}
}

// queue gives the tenant its place among those that can have a turn.
func (q *turns[T]) queue(t *tenant[T]) {
	switch {
	case t.place >= 0:
		heap.Fix(&q.next, t.place)
	case len(t.items) > 0 && t.busy < q.share:
		t.round = max(t.round, q.round)
		heap.Push(&q.next, t)
	}
}

// begin makes the round the present one. Whoever was served in an earlier one has no turn more or less than somebody new.
func (q *turns[T]) begin(round int) {
	if round == q.round {
		return
	}
	q.round = round
	for _, t := range q.served {
		if t.idle() {
			delete(q.tenants, t.name)
		}
	}
	q.served = nil
}

func (q *turns[T]) rank(priority int) int {
	return q.pushed - min(max(priority, -maxOvertakes), maxOvertakes)
}

func (q *turns[T]) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued
}

// close lets nothing be handed out any more.
func (q *turns[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
