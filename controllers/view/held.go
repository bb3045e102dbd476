package view

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// held are the stores of the caches. A list of ten thousand objects would be a copy of each.
type held struct {
	namespaces, accounts toolscache.Indexer
}

// indexerOf is nil for an informer of certain namespaces alone, which is several.
func indexerOf(i cache.Informer) toolscache.Indexer {
	if one, ok := i.(toolscache.SharedIndexInformer); ok {
		return one.GetIndexer()
	}
	return nil
}

// heldBy are the stores that the reader reads, as far as it reads any.
func heldBy(from client.Reader) held {
	if v, ok := from.(*Caches); ok {
		return v.held
	}
	return held{}
}

// Namespaces shows every namespace, which is shared and read-only.
func Namespaces(ctx context.Context, from client.Reader, look func(*metav1.PartialObjectMetadata)) error {
	if store := heldBy(from).namespaces; store != nil {
		for _, o := range store.List() {
			look(o.(*metav1.PartialObjectMetadata)) //nolint:forcetypeassert // it is what is watched
		}
		return nil
	}
	list := MetadataList(KindNamespace)
	err := from.List(ctx, list, client.UnsafeDisableDeepCopy)
	for i := range list.Items {
		look(&list.Items[i])
	}
	return err
}

// EachServiceAccount shows every ServiceAccount, which is shared and read-only.
func EachServiceAccount(ctx context.Context, from client.Reader, look func(*corev1.ServiceAccount)) error {
	if store := heldBy(from).accounts; store != nil {
		for _, o := range store.List() {
			look(o.(*corev1.ServiceAccount)) //nolint:forcetypeassert // it is what is watched
		}
		return nil
	}
	list := &corev1.ServiceAccountList{}
	err := List(ctx, from, list)
	for i := range list.Items {
		look(&list.Items[i])
	}
	return err
}

// ServiceAccounts are those of a namespace, which are shared and read-only.
func ServiceAccounts(ctx context.Context, from client.Reader, namespace string) ([]*corev1.ServiceAccount, error) {
	var all []*corev1.ServiceAccount
	if store := heldBy(from).accounts; store != nil {
		objects, err := store.ByIndex(bucketIndex, bucketOf(namespace)[0])
		for _, o := range objects {
			if sa := o.(*corev1.ServiceAccount); sa.Namespace == namespace { //nolint:forcetypeassert // it is what is watched
				all = append(all, sa)
			}
		}
		return all, err
	}
	list := &corev1.ServiceAccountList{}
	err := from.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	return all, err
}
