package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sight is an object as a watch showed it, and when.
type sight struct {
	at     time.Time
	object client.Object
}

// sightsAhead is how many sights may wait for somebody to look, so that none is late for it.
const sightsAhead = 1024

// eyes is one watch over the whole cluster.
type eyes struct {
	watch  watch.Interface
	sights chan sight
}

// watchNamed shows every object of that name, those that exist included, as it is and each time it changes.
func (b *bench) watchNamed(ctx context.Context, list client.ObjectList, name string) (*eyes, error) {
	return b.watch(ctx, list, client.MatchingFields{metav1.ObjectNameField: name})
}

func (b *bench) watch(ctx context.Context, list client.ObjectList, which client.ListOption) (*eyes, error) {
	if err := b.Client.List(ctx, list, which); err != nil {
		return nil, fmt.Errorf("listing with %v: %w", which, err)
	}
	existing, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	// The API server ends a watch that it finds slow, and on a busy machine that may happen to ours.
	w, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, from metav1.ListOptions) (watch.Interface, error) {
			return b.Client.Watch(ctx, list, which, &client.ListOptions{Raw: &from})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching with %v: %w", which, err)
	}
	e := &eyes{watch: w, sights: make(chan sight, sightsAhead)}
	go func() {
		defer close(e.sights)
		for _, o := range existing {
			e.show(o)
		}
		for event := range w.ResultChan() {
			if event.Type != watch.Deleted {
				e.show(event.Object)
			}
		}
	}()
	return e, nil
}

func (e *eyes) show(o runtime.Object) {
	if o, ok := o.(client.Object); ok {
		e.sights <- sight{at: time.Now(), object: o}
	}
}

// stop ends the watch; what nobody looks at is thrown away, so that it can end.
func (e *eyes) stop() {
	e.watch.Stop()
	for range e.sights {
	}
}

// sightings is when each namespace first showed what was expected of it.
type sightings map[string]time.Time

// expect begins to look until n namespaces have shown an object that satisfies. What it returns waits for that.
func (e *eyes) expect(ctx context.Context, n int, satisfies func(client.Object) bool) (wait func() (sightings, error)) {
	first := make(sightings, n)
	done := make(chan error, 1)
	go func() { done <- e.look(ctx, n, first, satisfies) }()
	return func() (sightings, error) { return first, <-done }
}

func (e *eyes) look(ctx context.Context, n int, first sightings, satisfies func(client.Object) bool) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	for len(first) < n {
		select {
		case s, open := <-e.sights:
			if !open {
				return fmt.Errorf("the watch ended when %d of %d namespaces were seen", len(first), n)
			}
			namespace := s.object.GetNamespace()
			if _, known := first[namespace]; !known && satisfies(s.object) {
				first[namespace] = s.at
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d namespaces were seen: %w", len(first), n, ctx.Err())
		}
	}
	return nil
}

func anything(client.Object) bool { return true }

func (s sightings) last() time.Time {
	var latest time.Time
	for _, at := range s {
		if at.After(latest) {
			latest = at
		}
	}
	return latest
}

// secretsMetadata asks for metadata only: the bench's own watch should cost little beside what it measures.
func secretsMetadata() *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	return l
}

func namespacesMetadata() *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	return l
}
