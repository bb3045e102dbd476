package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sighting is an event of a watch and the moment at which it was seen.
type sighting[T client.Object] struct {
	at     time.Time
	event  watch.EventType
	object T
}

// observer keeps all that a watch has shown, so that a step finds what happened while it was busy, with the right time.
type observer[T client.Object] struct {
	mu    sync.Mutex
	seen  []sighting[T]
	more  chan struct{} // closed at the next sighting
	ended bool
}

var errWatchEnded = errors.New("the watch has ended")

// observe watches all objects of a kind.
func observe[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList) (*observer[T], error) {
	w, err := c.Watch(ctx, list)
	if err != nil {
		return nil, fmt.Errorf("watching %T: %w", list, err)
	}
	o := &observer[T]{more: make(chan struct{})}
	go func() {
		defer w.Stop()
		for event := range w.ResultChan() {
			if object, ok := event.Object.(T); ok {
				o.note(sighting[T]{time.Now(), event.Type, object})
			}
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ended = true
		close(o.more)
	}()
	return o, nil
}

func (o *observer[T]) note(s sighting[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, s)
	close(o.more)
	o.more = make(chan struct{})
}

// all returns what was seen so far.
func (o *observer[T]) all() []sighting[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// first returns the first wanted sighting since a moment, and waits for it if need be.
func (o *observer[T]) first(ctx context.Context, what string, since time.Time, wanted func(sighting[T]) bool) (sighting[T], error) {
	for next := 0; ; {
		o.mu.Lock()
		news, more, ended := o.seen[next:], o.more, o.ended
		o.mu.Unlock()
		for _, s := range news {
			if !s.at.Before(since) && wanted(s) {
				return s, nil
			}
		}
		next += len(news)
		if ended {
			return sighting[T]{}, fmt.Errorf("waiting for %s: %w", what, errWatchEnded)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return sighting[T]{}, fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

// is says whether an object has a name. A cluster-scoped object has no namespace.
func is(o client.Object, namespace, name string) bool {
	return o.GetNamespace() == namespace && o.GetName() == name
}
