package v1alpha1_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
)

func TestSamplesCanBeApplied(t *testing.T) {
	files, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kindsSeen []string
	for _, file := range files {
		var want []string
		for _, object := range documents(t, file) {
			provideNamespace(t, object.GetNamespace())
			kindsSeen = append(kindsSeen, object.GetKind())
			want = append(want, object.GetName())
		}
		out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "--validate=strict", "-o", "name", "-f", file)
		applied := strings.Fields(string(out))
		for i, name := range applied {
			applied[i] = name[strings.Index(name, "/")+1:]
		}
		if err != nil || !slices.Equal(applied, want) {
			t.Errorf("%s: applied %q, %v; want %q", file, applied, err, want)
		}
	}
	for _, kind := range []string{"RegistryCredential", "ClusterRegistryCredential"} {
		if !slices.Contains(kindsSeen, kind) {
			t.Errorf("no sample of a %s in %q", kind, files)
		}
	}
}

func documents(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(read(t, file)), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", file, err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// provideNamespace makes the namespace in earnest: a dry run of one does not help the objects after it.
func provideNamespace(t *testing.T, name string) {
	t.Helper()
	if name == "" {
		return
	}
	clients, err := kubernetes.NewForConfig(cp.Config)
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := clients.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}
