package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/regcred/regcred/internal/fairqueue"
)

// queue lets others than watches put items into a controller's queue. What comes before there is one waits for it.
type queue[T comparable] struct {
	mu    sync.Mutex
	q     priorityqueue.PriorityQueue[T]
	early []early[T]
}

type early[T comparable] struct {
	item T
	opts priorityqueue.AddOpts
}

func (q *queue[T]) attach(_ context.Context, into workqueue.TypedRateLimitingInterface[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ok bool
	if q.q, ok = into.(priorityqueue.PriorityQueue[T]); !ok {
		return fmt.Errorf("nothing can be woken by a %T", into)
	}
	for _, e := range q.early {
		q.q.AddWithOpts(e.opts, e.item)
	}
	q.early = nil
	return nil
}

func (q *queue[T]) add(opts priorityqueue.AddOpts, item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.q == nil {
		q.early = append(q.early, early[T]{item, opts})
		return
	}
	q.q.AddWithOpts(opts, item)
}

// inTurn has so many workers serve namespaces in turn: none can make others wait by what it has to do.
func inTurn[T comparable](workers int, namespace func(T) string) controller.TypedOptions[T] {
	return controller.TypedOptions[T]{
		MaxConcurrentReconciles: workers,
		RateLimiter:             rateLimiter[T](),
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
			return fairqueue.New(name, limiter, workers, namespace)
		},
	}
}

// rateLimiter is for errors of the API server; what clouds refuse is the Broker's to space out.
func rateLimiter[T comparable]() workqueue.TypedRateLimiter[T] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[T](100*time.Millisecond, 2*time.Minute)
}
