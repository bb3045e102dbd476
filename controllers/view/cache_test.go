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

const ownData = `{"f:data":{".":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{".":{}}},"f:type":{}}`

func TestTamperingShowsInManagedFieldsBeforeAndAfterTheCache(t *testing.T) {
	for name, c := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   bool
	}{
		"as written":                          {[]metav1.ManagedFieldsEntry{managed("regcred", ownData)}, true},
		"labels of others":                    {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("kubectl", `{"f:metadata":{"f:labels":{"f:a":{}}}}`)}, true},
		"the same bytes applied by others":    {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("argocd", `{"f:data":{"f:.dockerconfigjson":{}}}`)}, true},
		"no fields at all":                    {nil, false},
		"data taken over":                     {[]metav1.ManagedFieldsEntry{managed("regcred", `{"f:type":{}}`), managed("kubectl-edit", `{"f:data":{"f:.dockerconfigjson":{}}}`)}, false},
		"a key added":                         {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("kubectl", `{"f:data":{"f:x":{}}}`)}, false},
		"our key removed":                     {[]metav1.ManagedFieldsEntry{managed("regcred", `{"f:data":{".":{}}}`)}, false},
		"another manager with a similar name": {[]metav1.ManagedFieldsEntry{managed("regcred2", ownData)}, false},
		"unreadable":                          {[]metav1.ManagedFieldsEntry{managed("regcred", `{`)}, false},
	} {
		m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: c.fields}}
		if got := pullsecret.Intact(m); got != c.want {
			t.Errorf("%s: intact is %t, want %t", name, got, c.want)
		}
		if name == "unreadable" {
			continue
		}
		cached, err := (&transforms{}).secret(m.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		if got := pullsecret.Intact(cached.(*metav1.PartialObjectMetadata)); got != c.want {
			t.Errorf("%s: intact is %t after the cache, want %t", name, got, c.want)
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
