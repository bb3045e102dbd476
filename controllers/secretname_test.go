package controllers

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

func named(secret string) func(*v1alpha1.ClusterCredentialSpec) {
	return func(s *v1alpha1.ClusterCredentialSpec) { s.SecretName = secret }
}

// record is what records the link of a Secret on the namespace's default ServiceAccount.
func (w *world) record(ns, secret string) string {
	w.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}}
	w.must(w.admin.Get(w.Context(), credential.Target{Namespace: ns, Name: "default"}.Secret(), sa))
	return sa.Annotations[v1alpha1.AnnotationLinkPrefix+secret]
}

func TestTheSecretIsCalledAsTheSpecSays(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, named("pull"), registry("a", "eu-west-1"))
	if target.Name != "pull" {
		t.Fatalf("the target is %+v", target)
	}
	w.run(target)
	if len(tokens(t, w.secret(target))) != 1 {
		t.Error("the Secret holds no token")
	}
	if got := w.links(ns, "default"); !slices.Equal(got, []string{"pull"}) {
		t.Errorf("the ServiceAccount names %v", got)
	}
	if got, want := w.record(ns, "pull"), v1alpha1.KindClusterRegistryCredential+"/"+target.Credential.Name; got != want {
		t.Errorf("the link is recorded as %q, want %q", got, want)
	}
	w.must(w.admin.Delete(t.Context(), w.credential(target.Credential.Name)))
	w.run(target)
	if got := w.links(ns, "default"); len(got) != 0 || w.record(ns, "pull") != "" {
		t.Errorf("after the credential is gone the ServiceAccount names %v", got)
	}
}

func TestTheOlderOfTwoCredentialsKeepsTheSecret(t *testing.T) {
	w, ns := newWorld(t)
	older := w.apply(ns, named("pull"), registry("a", "eu-west-1"))
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: ns + "-b"}}
	c.Spec = w.credential(ns).Spec
	w.must(w.admin.Create(t.Context(), c))
	younger := credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: "pull"}
	if first, second := w.credential(ns), w.credential(ns+"-b"); before(t, second, first) {
		older, younger = younger, older // both of one second: the UID decides
	}

	w.run(younger) // before the older has made the Secret
	if got := w.links(ns, "default"); len(got) != 0 {
		t.Errorf("linked while in conflict: %v", got)
	}
	conflicts := func(when string) {
		t.Helper()
		if ready := w.ready(younger); ready.Reason != v1alpha1.ReasonSecretConflict || !strings.Contains(ready.Message, older.Credential.String()) {
			t.Errorf("%s: Ready=%s %s: %s", when, ready.Status, ready.Reason, ready.Message)
		}
	}
	conflicts("before there is a Secret")
	w.run(older)
	w.run(younger)
	conflicts("when there is one")

	// What the garbage collector does, and whom the event of that wakes.
	secret := w.secret(older)
	w.must(w.admin.Delete(t.Context(), w.credential(older.Credential.Name)))
	w.must(w.admin.Delete(t.Context(), secret))
	var woken []credential.Target
	event := secretEvent{ObjectKey: client.ObjectKeyFromObject(secret), gone: true}
	if _, err := (secrets{mapping: mapping{cache: w.Cache}, wake: func(t credential.Target, _ int) { woken = append(woken, t) }}).Reconcile(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(woken, []credential.Target{younger}) {
		t.Errorf("the end of the Secret wakes %v", woken)
	}
	w.run(older)
	if got, record := w.links(ns, "default"), w.record(ns, "pull"); !slices.Equal(got, []string{"pull"}) || record != younger.LinkRecord() {
		t.Errorf("the link has not passed to the other: %v, recorded as %q", got, record)
	}
	w.run(younger)
	if owner := metav1.GetControllerOf(w.secret(younger)); owner == nil || owner.Name != younger.Credential.Name {
		t.Errorf("the Secret belongs to %v", owner)
	}
}

func before(t *testing.T, a, b client.Object) bool {
	t.Helper()
	first, err := credential.Of(a)
	if err != nil {
		t.Fatal(err)
	}
	second, err := credential.Of(b)
	if err != nil {
		t.Fatal(err)
	}
	return first.Before(second)
}
