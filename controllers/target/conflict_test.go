package target

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

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
