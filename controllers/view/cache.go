// Package view is what is read of the cluster, and held in memory: which objects, and what of them.
package view

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// Options is what the controllers hold in memory: metadata of the Secrets that carry our label and of namespaces, and
// ServiceAccounts without what nobody here reads. A read of anything else fails instead of filling the memory.
func Options() cache.Options {
	labelled, err := labels.NewRequirement(v1alpha1.LabelSecret, selection.Exists, nil)
	if err != nil {
		panic(err)
	}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			SecretMetadata(): {
				Label:     labels.NewSelector().Add(*labelled),
				Transform: transformSecret,
			},
			NamespaceMetadata():      {Transform: transformNamespace},
			&corev1.ServiceAccount{}: {Transform: transformServiceAccount},
		},
	}
}

// KindSecret and KindNamespace are the kinds of which metadata alone is held.
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

// transformSecret keeps of managedFields only who owns what of the data: that is how tampering is noticed.
func transformSecret(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	owned, err := pullsecret.Ownership(m)
	if err != nil {
		return nil, err
	}
	m.ManagedFields = owned
	delete(m.Annotations, corev1.LastAppliedConfigAnnotation)
	return m, nil
}

func transformNamespace(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		m.ManagedFields, m.Annotations, m.OwnerReferences = nil, nil, nil
	}
	return o, nil
}

func transformServiceAccount(o any) (any, error) {
	if sa, ok := o.(*corev1.ServiceAccount); ok {
		sa.ManagedFields, sa.Secrets, sa.OwnerReferences = nil, nil, nil
		delete(sa.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return o, nil
}
