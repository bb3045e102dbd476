package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestUnknownFieldsAreNamed checks what a user of kubectl apply is told, who has strict validation by default.
func TestUnknownFieldsAreNamed(t *testing.T) {
	everywhere := []struct{ name, path, value, field string }{
		{"a provider that does not exist", "spec.registries", "[{name: hub, gcr: {}}]", entry + ".gcr"},
		{"a second provider that does not exist", entry + ".harbor", "{}", entry + ".harbor"},
		{"a misspelt field", ecr + ".acounts", "[]", ecr + ".acounts"},
		{"a provider in other words", entry + ".ecrpublic", "{}", entry + ".ecrpublic"},
		{"a password", hub + ".password", "a", hub + ".password"},
		{"a tag to verify", hubEntry + ".verify.tag", "latest", hubEntry + ".verify.tag"},
		{"a ServiceAccount's namespace", entry + ".identity.serviceAccountRef.namespace", "other", entry + ".identity.serviceAccountRef.namespace"},
		{"a Secret's namespace", "spec.registries[1].identity.secretRef.namespace", "other", "spec.registries[1].identity.secretRef.namespace"},
		{"a Secret's key", "spec.registries[1].identity.secretRef.key", "a", "spec.registries[1].identity.secretRef.key"},
	}
	for _, k := range kinds {
		for _, c := range everywhere {
			t.Run(k.resource+"/"+c.name, func(t *testing.T) {
				checkUnknown(t, k.tryCreate(t, k.edited(t, c.path, c.value)), c.field)
			})
		}
	}
	t.Run("a namespaceSelector on the namespaced kind", func(t *testing.T) {
		checkUnknown(t, namespaced.tryCreate(t, namespaced.edited(t, "spec.namespaceSelector", "{}")), "spec.namespaceSelector")
	})
}

func checkUnknown(t *testing.T, err error, field string) {
	t.Helper()
	want := fmt.Sprintf("strict decoding error: unknown field %q", field)
	if !apierrors.IsBadRequest(err) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
