package controllers

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// expectFor is how long the cache is trusted to show our own write; it bounds the harm of a watch that missed one.
const expectFor = 5 * time.Second

// expectations remembers our last write of each target until the cache shows it.
type expectations struct {
	mu    sync.Mutex
	until map[Target]expectation
}

type expectation struct {
	resourceVersion string
	until           time.Time
}

func (x *expectations) expect(t Target, resourceVersion string, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.until == nil {
		x.until = map[Target]expectation{}
	}
	x.until[t] = expectation{resourceVersion: resourceVersion, until: now.Add(expectFor)}
}

// ahead says whether our last write is newer than what the cache shows.
func (x *expectations) ahead(t Target, secret *metav1.PartialObjectMetadata, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.until[t]
	if !ok {
		return false
	}
	if now.Before(e.until) {
		if secret == nil {
			return true
		}
		if order, err := resourceversion.CompareResourceVersion(secret.ResourceVersion, e.resourceVersion); err == nil && order < 0 {
			return true
		}
	}
	delete(x.until, t)
	return false
}

func (x *expectations) forget(t Target) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.until, t)
}
