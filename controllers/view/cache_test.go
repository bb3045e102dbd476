package view

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
)

func managed(manager, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
}

// intact is what a Secret's managedFields are as we write it.
const intact = `{"f:data":{".":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{".":{},"f:regcred.dev/registries":{}}},"f:type":{}}`

func TestTheCacheKnowsWhatIsIntact(t *testing.T) {
	for _, fields := range []string{intact, `{"f:data":{"f:x":{}}}`, `{`} {
		m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("regcred", fields)}}}
		want := pullsecret.Intact(m)
		cached, err := (&transforms{}).secret(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := pullsecret.Intact(cached.(*metav1.PartialObjectMetadata)); got != want || want != (fields == intact) {
			t.Errorf("%s: intact is %t before and %t after the cache", fields, want, got)
		}
	}
}

func TestTheCacheHoldsNoContent(t *testing.T) {
	options := Options(sets.New(roleARN))
	if !options.ReaderFailOnMissingInformer {
		t.Error("reading a kind that nobody planned would fill the memory")
	}
	for o, by := range options.ByObject {
		m, ok := o.(*metav1.PartialObjectMetadata)
		if !ok {
			if _, ok := o.(*corev1.Secret); ok {
				t.Error("Secrets are cached with their content")
			}
			continue
		}
		if m.Kind == "Secret" && (by.Label == nil || by.Label.String() != v1alpha1.LabelSecret) {
			t.Errorf("Secrets are cached by the label selector %v, want those with our label", by.Label)
		}
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("a", "{}")}, Annotations: map[string]string{
		corev1.LastAppliedConfigAnnotation: "x", "eks.amazonaws.com/role-arn": "y"}}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "a"}}}
	cached, err := (&transforms{annotations: sets.New(roleARN)}).serviceAccount(sa)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"eks.amazonaws.com/role-arn": "y"}},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "a"}}}
	if diff := cmp.Diff(want, cached); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
