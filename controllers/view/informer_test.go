package view

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

// An index with one key for each object takes more memory than what it finds.
func TestIndexesHoldNothingThatNobodyAsks(t *testing.T) {
	for name, c := range map[string]struct {
		object      runtime.Object
		byNamespace bool
	}{
		"Secrets, which are never listed by namespace":       {SecretMetadata(), false},
		"ServiceAccounts, which are, to be linked":           {&corev1.ServiceAccount{}, true},
		"namespaces, which are in none":                      {NamespaceMetadata(), false},
		"any other metadata, of which nothing is known here": {&metav1.PartialObjectMetadata{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			byNamespace := toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc}
			informer := newInformer(&toolscache.ListWatch{}, c.object, 0, byNamespace)
			// As controller-runtime writes them.
			err := informer.AddIndexers(toolscache.Indexers{"field:owner": func(any) ([]string, error) {
				return []string{"team-a/owner", "__all_namespaces/owner"}, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			indexers := informer.GetIndexer().GetIndexers()
			if _, has := indexers[toolscache.NamespaceIndex]; has != c.byNamespace {
				t.Errorf("indexed by namespace: %t, want %t", has, c.byNamespace)
			}
			keys, err := indexers["field:owner"](c.object)
			if want := []string{"__all_namespaces/owner"}; err != nil || !slices.Equal(keys, want) {
				t.Errorf("keys %q, %v, want %q", keys, err, want)
			}
		})
	}
}
