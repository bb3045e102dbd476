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
	// announced are the priorities of items that are about to be pushed: at once, or when the work on them is done.
	announced map[T]int
	items     map[T]*item[T]
	// taken are the priorities of items that are worked on.
	taken   map[T]int
	tenants map[string]*tenant[T]
	// next are the tenants that have an item and a worker left.
	next  ranking.Of[*tenant[T]]
	round int
	// served are tenants with nothing left that have had their turn; they are remembered until the round ends.
	served []*tenant[T]
	// pushed counts items, so that equals go by age.
	pushed int
	// most is how many items have been due at a time since the maps were made.
	most int
}

type tenant[T comparable] struct {
	name  string
	items ranking.Of[*item[T]]
	busy  int
	// round is the one in which it has its next turn: at most the one after the present.
	round int
	place int
}

type item[T comparable] struct {
	key      T
	tenant   *tenant[T]
	priority int
	// rank is the item's age, later by its lack of urgency: that many newer ones may overtake it.
	rank  int
	place int
}

// maxOvertakes bounds what a priority can do: it is worth at most that many items of the same tenant.
const maxOvertakes = 1000

// crowd is from how many items on the maps are given back, which never shrink, when all is done.
const crowd = 1000

func newTurns[T comparable](share int, tenantOf func(T) string) *turns[T] {
	return &turns[T]{
		tenantOf: tenantOf, share: share,
		announced: map[T]int{}, items: map[T]*item[T]{}, taken: map[T]int{}, tenants: map[string]*tenant[T]{},
	}
}

// announce tells the priority of an item that is added next.
func (q *turns[T]) announce(key T, priority int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known, ok := q.announced[key]; ok {
		priority = max(known, priority)
	}
	q.announced[key] = priority
}

// raise makes an item more urgent, and says whether it is due.
func (q *turns[T]) raise(key T, priority int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known, ok := q.announced[key]; ok {
		q.announced[key] = max(known, priority)
		return true
	}
	it, ok := q.items[key]
	if ok {
		q.urge(it, priority)
	}
	return ok
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
func (q *turns[T]) Touch(key T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if priority, ok := q.announced[key]; ok { // if not, Push has taken it
		delete(q.announced, key)
		q.urge(q.items[key], priority)
	}
}

// Push takes a new item.
func (q *turns[T]) Push(key T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	name := q.tenantOf(key)
	t, ok := q.tenants[name]
	if !ok {
		t = &tenant[T]{name: name, place: -1}
		q.tenants[name] = t
	}
	priority := q.announced[key]
	delete(q.announced, key)
	it := &item[T]{key: key, tenant: t, priority: priority, rank: q.rank(priority)}
	q.pushed++
	q.items[key] = it
	q.most = max(q.most, len(q.items))
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
func (q *turns[T]) Pop() T {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := heap.Pop(&q.next).(*tenant[T])
	q.begin(t.round)
	it := heap.Pop(&t.items).(*item[T])
	delete(q.items, it.key)
	q.taken[it.key] = it.priority
	t.busy++
	t.round = q.round + 1
	q.queue(t)
	return it.key
}

func (q *turns[T]) done(key T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.taken, key)
	t := q.tenants[q.tenantOf(key)]
	t.busy--
	q.queue(t)
	if t.idle() {
		q.served = append(q.served, t)
	}
	if len(q.next) == 0 {
		q.begin(q.round + 1) // nobody waits, so nobody has to be remembered
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
	if len(q.tenants) == 0 && q.most > crowd {
		q.items, q.taken, q.tenants, q.most = map[T]*item[T]{}, map[T]int{}, map[string]*tenant[T]{}, 0
	}
}

func (q *turns[T]) rank(priority int) int {
	return q.pushed - min(max(priority, -maxOvertakes), maxOvertakes)
}

// priority is the priority of an item that is worked on.
func (q *turns[T]) priority(key T) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken[key]
}

func (q *turns[T]) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// close lets nothing be handed out any more.
func (q *turns[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func (t *tenant[T]) idle() bool { return t.busy == 0 && len(t.items) == 0 }

func (t *tenant[T]) Before(other *tenant[T]) bool {
	if t.round != other.round {
		return t.round < other.round
	}
	a, b := t.items[0], other.items[0]
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	return a.rank < b.rank
}

func (t *tenant[T]) Placed(at int) { t.place = at }

func (it *item[T]) Before(other *item[T]) bool { return it.rank < other.rank }

func (it *item[T]) Placed(at int) { it.place = at }
