package controllers

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// queue lets others than watches put items into a controller's queue, once there is one.
type queue[T comparable] struct {
	mu sync.Mutex
	q  priorityqueue.PriorityQueue[T]
}

func (q *queue[T]) attach(_ context.Context, into workqueue.TypedRateLimitingInterface[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.q, _ = into.(priorityqueue.PriorityQueue[T])
	return nil
}

func (q *queue[T]) add(opts priorityqueue.AddOpts, item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.q != nil {
		q.q.AddWithOpts(opts, item)
	}
}
