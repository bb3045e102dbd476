// Package view is what is read of the cluster, and held in memory: which objects, and what of them.
package view

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Options is what the controllers hold in memory: metadata of the Secrets that carry our label and of namespaces, and ServiceAccounts
// without what nobody here reads, which is all of their annotations but those of links and these. A read of anything else fails instead
// of filling the memory.
func Options(annotations sets.Set[string]) cache.Options {
	labelled, err := labels.NewRequirement(v1alpha1.LabelSecret, selection.Exists, nil)
	if err != nil {
		panic(err)
	}
	t := &transforms{annotations: annotations}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		NewInformer:                 newInformer,
		DefaultTransform:            t.other,
		ByObject: map[client.Object]cache.ByObject{
			SecretMetadata(): {
				Label:     labels.NewSelector().Add(*labelled),
				Transform: t.secret,
			},
			NamespaceMetadata():      {Transform: t.namespace},
			&corev1.ServiceAccount{}: {Transform: t.serviceAccount},
		},
	}
}

// KindSecret and KindNamespace are the kinds whose metadata alone is held.
const (
	KindSecret    = "Secret"
	KindNamespace = "Namespace"
)

// SecretMetadata is a Secret without its content, to be read.
func SecretMetadata() *metav1.PartialObjectMetadata { return metadataOf(KindSecret) }

// NamespaceMetadata is a namespace, to be read.
func NamespaceMetadata() *metav1.PartialObjectMetadata { return metadataOf(KindNamespace) }

func metadataOf(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return m
}

// MetadataList is a list without contents, to be read.
func MetadataList(kind string) *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
	return l
}
