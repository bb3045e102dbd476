package view

import (
	"hash/maphash"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

const (
	// bucketIndex finds ServiceAccounts by a bucket of namespaces: an index by namespace has a set for each, which takes as much memory as the
	// ServiceAccount that is in it, mostly alone.
	bucketIndex = "bucket"
	buckets     = 1024
)

var (
	bucketSeed  = maphash.MakeSeed() // so that nobody can choose whose bucket a namespace shares
	bucketNames = func() (names [buckets]string) {
		for i := range names {
			names[i] = strconv.Itoa(i)
		}
		return names
	}()
)

// bucketOf is the bucket of a namespace, as an index has it.
func bucketOf(namespace string) []string {
	i := maphash.String(bucketSeed, namespace) % buckets
	return bucketNames[i : i+1 : i+1]
}

// inBuckets is newInformer with that index.
func inBuckets(source toolscache.ListerWatcher, o runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	if _, ok := o.(*corev1.ServiceAccount); ok {
		indexers = toolscache.Indexers{bucketIndex: func(o any) ([]string, error) {
			return bucketOf(o.(*corev1.ServiceAccount).Namespace), nil //nolint:forcetypeassert // it is what is watched
		}}
	}
	return newInformer(source, o, resync, indexers)
}
