package controllers

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/regcred/regcred/internal/fairqueue"
)

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
