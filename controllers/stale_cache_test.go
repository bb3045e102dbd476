package controllers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// staleNamespace shows a namespace as it was before its deletion.
type staleNamespace struct {
	client.Reader
	name string
}

func (s staleNamespace) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := s.Reader.Get(ctx, key, o, opts...)
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Kind == "Namespace" && key.Name == s.name {
		m.DeletionTimestamp = nil
	}
	return err
}
