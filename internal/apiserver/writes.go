package apiserver

import (
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

// CacheLag is how long a cache may not show our own write yet; it bounds the harm of a watch that missed one.
const CacheLag = 5 * time.Second

// Writes are the resource versions that our own last writes got, until the cache shows them.
type Writes[K comparable] struct{ versions *expiring.Map[K, string] }

// NewWrites returns Writes that remember at most bound keys, and at most share of one owner.
func NewWrites[K comparable](c clock.PassiveClock, bound, share int, ownerOf func(K) string) *Writes[K] {
	return &Writes[K]{expiring.Shared(c, CacheLag, bound, share, func(key K, _ string) string { return ownerOf(key) })}
}

// Put remembers the version that a write got.
func (w *Writes[K]) Put(key K, version string) { w.versions.Put(key, version) }

// Forget says that what was written is there no longer.
func (w *Writes[K]) Forget(key K) { w.versions.Delete(key) }

// Behind says whether the version that the cache shows, "" for none, is from before our last write.
func (w *Writes[K]) Behind(key K, shown string) bool {
	wrote, ok := w.versions.Get(key)
	if !ok {
		return false
	}
	if shown == "" || Older(shown, wrote) {
		return true
	}
	w.versions.Delete(key)
	return false
}

// Older says whether one version of an object is from before another; false if that cannot be known.
func Older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
