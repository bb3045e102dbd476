// Package wake lets others than watches bring items to a controller.
package wake

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// Queue takes items for a controller's queue. Those that come before the controller starts wait for it, so that whoever wakes it can be made
// first. The zero value is ready.
type Queue[T comparable] struct {
	mu    sync.Mutex
	into  priorityqueue.PriorityQueue[T]
	early []early[T]
}

type early[T comparable] struct {
	item T
	opts priorityqueue.AddOpts
}

// Attach is the start of a source (source.TypedFunc).
func (q *Queue[T]) Attach(_ context.Context, into workqueue.TypedRateLimitingInterface[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ok bool
	if q.into, ok = into.(priorityqueue.PriorityQueue[T]); !ok {
		return fmt.Errorf("nothing can be woken by a %T", into)
	}
	for _, e := range q.early {
		q.into.AddWithOpts(e.opts, e.item)
	}
	q.early = nil
	return nil
}

// Add brings an item to the controller.
func (q *Queue[T]) Add(opts priorityqueue.AddOpts, item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.into == nil {
		q.early = append(q.early, early[T]{item, opts})
		return
	}
	q.into.AddWithOpts(opts, item)
}
