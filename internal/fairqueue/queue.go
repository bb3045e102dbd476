// Package fairqueue has a controller's queue that serves tenants in turn: whoever floods it waits behind its own items, and others
// hardly notice.
package fairqueue

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// queue is two queues of the libraries in a row. In controller-runtime's an item waits until it is due: it knows delays, the backoff of
// errors and what is added twice. From there it goes on at once to client-go's, which keeps an item from being worked on twice at a
// time, and measures; there turns decide who is next.
type queue[T comparable] struct {
	// PriorityQueue holds what is not due yet. It has no name, and so no metrics: an item is counted once.
	priorityqueue.PriorityQueue[T]
	due     *workqueue.Typed[*item[T]]
	turns   *turns[T]
	limiter workqueue.TypedRateLimiter[T]
}

// New returns the queue of a controller with so many workers. A tenant's items take half of the workers at most, so that whoever comes
// finds one free. A worker that is done with an item must ask for the next, as controller-runtime's do.
func New[T comparable](name string, limiter workqueue.TypedRateLimiter[T], workers int, tenantOf func(T) string) priorityqueue.PriorityQueue[T] {
	turns := newTurns(max(1, workers/2), tenantOf)
	q := &queue[T]{
		PriorityQueue: priorityqueue.New("", func(o *priorityqueue.Opts[T]) { o.RateLimiter = limiter }),
		due:           workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[*item[T]]{Name: name, Queue: turns}),
		turns:         turns,
		limiter:       limiter,
	}
	go q.forward()
	return q
}

// forward passes on what has become due.
func (q *queue[T]) forward() {
	for {
		item, priority, shutdown := q.PriorityQueue.GetWithPriority()
		if shutdown {
			return
		}
		q.due.Add(q.turns.announce(item, priority))
		q.PriorityQueue.Done(item)
	}
}

// AddWithOpts adds the items. One that is due already is worked on anyway: it only becomes more urgent. So no flood of the same items
// gets as far as the first queue, which knows no turns.
func (q *queue[T]) AddWithOpts(o priorityqueue.AddOpts, items ...T) {
	others := make([]T, 0, len(items))
	for _, item := range items {
		switch {
		case !q.turns.raise(item, ptr.Deref(o.Priority, 0)):
			others = append(others, item)
		case o.RateLimited:
			q.limiter.When(item) // a failure counts all the same
		}
	}
	q.PriorityQueue.AddWithOpts(o, others...)
}

func (q *queue[T]) Add(item T) {
	q.AddWithOpts(priorityqueue.AddOpts{}, item)
}

func (q *queue[T]) AddAfter(item T, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

func (q *queue[T]) AddRateLimited(item T) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}

func (q *queue[T]) Get() (item T, shutdown bool) {
	item, _, shutdown = q.GetWithPriority()
	return item, shutdown
}

func (q *queue[T]) GetWithPriority() (item T, priority int, shutdown bool) {
	it, shutdown := q.due.Get()
	if shutdown {
		return item, 0, true
	}
	return it.key, it.priority, false
}

func (q *queue[T]) Done(item T) {
	it := q.turns.done(item)
	q.due.Done(it)
	q.turns.forget(it)
}

// Len is how many items are due and wait for a worker.
func (q *queue[T]) Len() int {
	return q.turns.waiting()
}

// ShutDown lets workers go at once, whatever is still due.
func (q *queue[T]) ShutDown() {
	q.PriorityQueue.ShutDown()
	q.turns.close()
	q.due.ShutDown()
}

// ShutDownWithDrain just calls ShutDown, as in controller-runtime.
func (q *queue[T]) ShutDownWithDrain() {
	q.ShutDown()
}
