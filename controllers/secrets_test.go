package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// Who is concerned is found out by workers: where the events of all namespaces pass, nobody is asked.
func TestOfASecretAnEventTellsOnlyWhichItIs(t *testing.T) {
	secret := func(label string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", Labels: map[string]string{v1alpha1.LabelSecret: label}}}
	}
	identity, other := secret(v1alpha1.LabelSecretIdentity), secret(v1alpha1.LabelSecretTarget)
	for name, c := range map[string]struct {
		happens func(secretQueue)
		want    int
	}{
		"an identity comes": {func(q secretQueue) { secretEvents.Create(t.Context(), event.CreateEvent{Object: identity}, q) }, 1},
		"an identity is there at the start": {func(q secretQueue) {
			secretEvents.Create(t.Context(), event.CreateEvent{Object: identity, IsInInitialList: true}, q)
		}, 0},
		"another Secret comes": {func(q secretQueue) { secretEvents.Create(t.Context(), event.CreateEvent{Object: other}, q) }, 0},
		"a Secret becomes an identity": {func(q secretQueue) {
			secretEvents.Update(t.Context(), event.UpdateEvent{ObjectOld: other, ObjectNew: identity}, q)
		}, 1},
		"a Secret is none any more": {func(q secretQueue) {
			secretEvents.Update(t.Context(), event.UpdateEvent{ObjectOld: identity, ObjectNew: other}, q)
		}, 1},
		"another Secret changes": {func(q secretQueue) {
			secretEvents.Update(t.Context(), event.UpdateEvent{ObjectOld: other, ObjectNew: other}, q)
		}, 0},
		"a Secret goes": {func(q secretQueue) { secretEvents.Delete(t.Context(), event.DeleteEvent{Object: other}, q) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			q := priorityqueue.New[secretEvent]("secret")
			defer q.ShutDown()
			c.happens(q)
			if q.Len() != c.want {
				t.Errorf("%d wait, want %d", q.Len(), c.want)
			}
		})
	}
}

func TestAnIdentityWakesWhatIsMintedWithItAndNothingElse(t *testing.T) {
	w := newTown(map[string]int{"a": 2, "b": 1})
	mintedWith := func(c *v1alpha1.RegistryCredential, identity string) {
		c.Spec.Registries = []v1alpha1.Registry{{Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: identity}}}}
	}
	mintedWith(&w.tenants["a"][0], "pat")
	mintedWith(&w.tenants["a"][1], "other")
	mintedWith(&w.tenants["b"][0], "pat")
	woken := map[string]bool{}
	s := secrets{mapping: mapping{cache: w}, wake: func(t credential.Target, _ int) { woken[t.Credential.String()] = true }}
	// The town has no index of Secrets: what is found is woken all the same, and it is looked again.
	if _, err := s.Reconcile(t.Context(), secretEvent{ObjectKey: client.ObjectKey{Namespace: "a", Name: "pat"}}); err == nil {
		t.Error("it is not looked again")
	}
	if want := credential.KeyOf(&w.tenants["a"][0]).String(); len(woken) != 1 || !woken[want] {
		t.Errorf("woken: %v, want %s", woken, want)
	}
}
