package target

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// A tenant may write a megabyte of metadata, and what is read past the cache is remembered.
func TestOfASecretOfOthersNoMoreIsRememberedThanOfOurs(t *testing.T) {
	from := &slow{}
	from.secret.ObjectMeta = metav1.ObjectMeta{
		Namespace: "a", Name: "b", Annotations: map[string]string{"note": strings.Repeat("x", 200<<10)}, Labels: map[string]string{"app": "x"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: strings.Repeat("K", 1<<20), Name: "n", UID: "1", Controller: new(true)}},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:` + strings.Repeat("y", 100<<10) + `":{}}}`)}},
	}
	r := New(Config{Cache: from, Live: from, Clock: clock.RealClock{}})
	target := credential.Target{Namespace: "a", Name: "b"}
	secret, err := r.readLive(t.Context(), target)
	if err != nil || secret == nil {
		t.Fatal(secret, err)
	}
	if size := secret.Size(); size > 1<<10 {
		t.Errorf("%d bytes of metadata are kept", size)
	}
	if f := conflict(observed{secret: secret}); f == nil || len(f.Message) > credential.MaxText {
		t.Errorf("the conflict is told as %.100v…", f)
	}
}

// The credential may be the cluster's, and its status is read by others than those who may write the Secret.
func TestATextOfOthersIsNotToldAsItIs(t *testing.T) {
	const text = "your registry has moved:\nlog in at http://evil.example.com"
	for name, meta := range map[string]metav1.ObjectMeta{
		"in what keeps it": {Annotations: map[string]string{v1alpha1.AnnotationKeptBy: v1alpha1.KindRegistryCredential + "/" + text}},
		"in its owner":     {OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: text, Name: text, UID: "1", Controller: new(true)}}},
	} {
		secret := &metav1.PartialObjectMetadata{ObjectMeta: meta}
		secret.Namespace, secret.Name = "a", "b"
		f := conflict(observed{secret: secret})
		if f == nil || strings.Contains(f.Message, "\n") || strings.Contains(f.Message, text) {
			t.Errorf("%s: %v", name, f)
		}
		if f != nil && !strings.Contains(f.Message, `"your registry has moved:\n`) {
			t.Errorf("%s: it is not shown quoted: %s", name, f.Message)
		}
	}
}
