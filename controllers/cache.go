package controllers

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// CacheOptions is what the controllers hold in memory: metadata of the Secrets that carry our label and of namespaces, and
// ServiceAccounts without what nobody here reads. A read of anything else fails instead of filling the memory.
func CacheOptions() cache.Options {
	labelled, err := labels.NewRequirement(v1alpha1.LabelSecret, selection.Exists, nil)
	if err != nil {
		panic(err)
	}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			secretMetadata(): {
				Label:     labels.NewSelector().Add(*labelled),
				Transform: transformSecret,
			},
			namespaceMetadata():      {Transform: transformNamespace},
			&corev1.ServiceAccount{}: {Transform: transformServiceAccount},
		},
	}
}

const kindSecret, kindNamespace = "Secret", "Namespace"

func secretMetadata() *metav1.PartialObjectMetadata    { return metadataOf(kindSecret) }
func namespaceMetadata() *metav1.PartialObjectMetadata { return metadataOf(kindNamespace) }

func metadataOf(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return m
}

func metadataList(kind string) *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
	return l
}

// intactFields are the managedFields of every Secret in the cache that is as we wrote it. They are shared.
var intactFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager, FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:.dockerconfigjson":{}}}`)}}

// transformSecret keeps of managedFields only who owns what of the data: that is how tampering is noticed.
func transformSecret(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	if intact(m) {
		m.ManagedFields = intactFields
		delete(m.Annotations, corev1.LastAppliedConfigAnnotation)
		return m, nil
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range m.ManagedFields {
		owned, err := ownedData(entry)
		if err != nil {
			return nil, fmt.Errorf("managedFields of Secret %s/%s: %w", m.Namespace, m.Name, err)
		}
		if len(owned) == 0 {
			continue
		}
		raw, err := json.Marshal(map[string]any{fieldData: owned})
		if err != nil {
			return nil, err
		}
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, FieldsV1: metav1.NewFieldsV1(string(raw))})
	}
	m.ManagedFields = kept
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
