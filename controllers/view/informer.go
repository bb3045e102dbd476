package view

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

// everywhere is how controller-runtime begins the keys of a field index that are for lists of all namespaces.
const everywhere = "__all_namespaces/"

// newInformer keeps no index that nobody asks. An index entry of one object alone, as each is that has a namespace in its key, takes as much
// memory as the object itself. Fields are never asked for in one namespace, Secrets are never listed by namespace, and namespaces are in none.
func newInformer(source toolscache.ListerWatcher, o runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && (m.Kind == KindSecret || m.Kind == KindNamespace) {
		indexers = toolscache.Indexers{}
	}
	return frugal{toolscache.NewSharedIndexInformer(source, o, resync, indexers)}
}

// frugal is an informer whose field indexes have keys for all namespaces alone.
type frugal struct{ toolscache.SharedIndexInformer }

// AddIndexers implements toolscache.SharedIndexInformer.
func (f frugal) AddIndexers(indexers toolscache.Indexers) error {
	for name, keysOf := range indexers {
		indexers[name] = func(o any) ([]string, error) {
			keys, err := keysOf(o)
			return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, everywhere) }), err
		}
	}
	return f.SharedIndexInformer.AddIndexers(indexers)
}
