package controllers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

func TestATargetIsServed(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	result := w.run(target)

	secret := w.secret(target)
	if secret.Type != corev1.SecretTypeDockerConfigJson {
		t.Errorf("type %s", secret.Type)
	}
	if got := secret.Labels[v1alpha1.LabelSecret]; got != v1alpha1.LabelSecretTarget {
		t.Errorf("label %s=%s", v1alpha1.LabelSecret, got)
	}
	if !metav1.IsControlledBy(secret, w.credential(ns)) {
		t.Error("the Secret does not belong to the credential, so nobody would delete it")
	}
	if diff := cmp.Diff([]string{host("eu-west-1")}, slices.Collect(maps.Keys(tokens(t, secret)))); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{ns}, w.links(ns, "default")); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if after := result.RequeueAfter; after > life/2 || after < life/2-life/jitterShare {
		t.Errorf("refresh after %s, want half of %s, at most a tenth of it earlier", after, life)
	}
	if got := w.ready(target); got.Status != metav1.ConditionTrue || got.Reason != v1alpha1.ReasonCurrent {
		t.Errorf("Ready=%s %s: %s", got.Status, got.Reason, got.Message)
	}
	if told := w.told(); !strings.Contains(told, "Normal Issued") {
		t.Errorf("events: %s", told)
	}
}

func TestBothKindsAreServedAlike(t *testing.T) {
	w, ns := newWorld(t)
	w.AllowAmbientIdentity = true
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "own"}}
	c.Spec.Registries = []v1alpha1.Registry{registry("prod", "eu-west-1")}
	w.must(w.admin.Create(t.Context(), c))
	target := credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: c.Name}
	w.run(target)
	if got := tokens(t, w.secret(target)); len(got) != 1 {
		t.Errorf("%d tokens, want 1", len(got))
	}
	if got := w.ready(target); got.Status != metav1.ConditionTrue {
		t.Errorf("Ready=%s %s: %s", got.Status, got.Reason, got.Message)
	}
	if got := w.links(ns, "default"); len(got) != 0 {
		t.Errorf("linked to %v though no ServiceAccounts are named", got)
	}
}

func TestTheServiceAccountIsLinkedBeforeTheTokenIsThere(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.hang["eu-west-1"] = true
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if diff := cmp.Diff([]string{ns}, w.links(ns, "default")); diff != "" {
		t.Errorf("a pod created now would never heal (-want +got):\n%s", diff)
	}
	if got := w.ready(target); got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonProgressing {
		t.Errorf("Ready=%s %s: %s", got.Status, got.Reason, got.Message)
	}
}

func TestRotationIsInPlaceAtHalfLife(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	due := w.run(target).RequeueAfter
	before := w.secret(target)

	w.step(due - time.Second)
	w.run(target)
	if got := w.secret(target); got.ResourceVersion != before.ResourceVersion || w.mint.count() != 1 {
		t.Fatal("something was written or minted before it was due")
	}
	w.step(time.Second)
	w.run(target)
	after := w.secret(target)
	if after.UID != before.UID {
		t.Error("the Secret was replaced; the kubelet would have to verify every image again")
	}
	if cmp.Equal(tokens(t, after), tokens(t, before)) {
		t.Error("the token is the old one")
	}
	if w.mint.count() != 2 {
		t.Errorf("%d calls, want 2", w.mint.count())
	}
	w.run(target)
	if got := w.secret(target); got.ResourceVersion != after.ResourceVersion {
		t.Error("a second write for one rotation")
	}
}

func TestTargetsOfOneTokenRotateEachInItsOwnSlot(t *testing.T) {
	w, ns := newWorld(t)
	other := ns + "-b"
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
	first := w.apply(ns, nil, registry("prod", "eu-west-1"))
	second := credential.Target{Credential: first.Credential, Namespace: other, Name: first.Name}
	a, b := w.run(first).RequeueAfter, w.run(second).RequeueAfter
	if a == b {
		t.Fatal("both are due at the same moment")
	}
	if a > b {
		first, second, a, b = second, first, b, a
	}
	old := w.secret(second)
	w.step(a)
	w.run(first)
	w.run(second)
	if w.secret(second).ResourceVersion != old.ResourceVersion {
		t.Error("the second was written before its slot")
	}
	w.step(b - a)
	w.run(second)
	if w.mint.count() != 2 || !cmp.Equal(tokens(t, w.secret(first)), tokens(t, w.secret(second))) {
		t.Errorf("%d calls, want 2: the second gets the token of the first", w.mint.count())
	}
}

func TestARestartCostsNothing(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	before, status := w.secret(target), w.report(target)
	version := w.credential(ns).ResourceVersion

	w.restart()
	w.step(time.Hour)
	w.run(target)
	if w.secret(target).ResourceVersion != before.ResourceVersion || w.mint.count() != 1 {
		t.Errorf("a restart cost %d calls or a write", w.mint.count()-1)
	}
	if diff := cmp.Diff(status, w.report(target)); diff != "" || w.credential(ns).ResourceVersion != version {
		t.Errorf("a restart wrote the status (-before +after):\n%s", diff)
	}
}

func TestARestoredBackupCostsNoCall(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	before := tokens(t, w.secret(target))
	// The same credential with another UID, as a restore makes it.
	c := w.credential(ns)
	w.must(w.admin.Delete(t.Context(), c))
	w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.restart()
	w.run(target)
	secret := w.secret(target)
	if w.mint.count() != 1 || !cmp.Equal(before, tokens(t, secret)) {
		t.Errorf("%d calls, want 1, and the same tokens", w.mint.count())
	}
	if !metav1.IsControlledBy(secret, w.credential(ns)) {
		t.Error("the Secret still belongs to the credential that is gone, and would be collected")
	}
}

func TestARefreshRequestRefreshesOnce(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	before := tokens(t, w.secret(target))
	w.step(time.Minute)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now"}
	})
	w.run(target)
	w.run(target)
	if w.mint.count() != 2 || cmp.Equal(before, tokens(t, w.secret(target))) {
		t.Errorf("%d calls, want 2, and a new token", w.mint.count())
	}
	w.restart()
	w.run(target)
	if w.mint.count() != 2 {
		t.Error("the request was answered again after a restart")
	}
	w.step(2 * time.Minute)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: strings.Repeat("x", 65)}
	})
	w.run(target)
	if w.mint.count() != 2 {
		t.Error("a request of 65 bytes is answered")
	}
	if w.report(target); !strings.Contains(w.told(), "is ignored") {
		t.Error("and nobody is told that it is not")
	}
}

func TestAnExcludedNamespaceIsNeverATarget(t *testing.T) {
	w, ns := newWorld(t)
	w.exclude(ns)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("a Secret was written: %v", err)
	}
	if got := w.ready(target); got.Reason != v1alpha1.ReasonNoTargets {
		t.Errorf("Ready: %s", got.Reason)
	}
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "own"}}
	c.Spec.Registries = []v1alpha1.Registry{registry("prod", "eu-west-1")}
	w.must(w.admin.Create(t.Context(), c))
	own := credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: c.Name}
	w.run(own)
	if got := w.ready(own); got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonNamespaceExcluded {
		t.Errorf("Ready=%s %s", got.Status, got.Reason)
	}
}

// envtest has no namespace controller, so a deleted namespace stays in Terminating: just what is needed here.
func TestATerminatingNamespaceIsNoError(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.must(w.admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
	w.run(target)
	if w.mint.count() != 0 {
		t.Error("a token was minted for a namespace that goes away")
	}
	// The cache may not have seen it yet.
	w.Cache = staleNamespace{w.Cache, ns}
	if _, err := w.Reconcile(t.Context(), target); err != nil {
		t.Error(err)
	}
	<-w.woken
	if _, err := w.Reconcile(t.Context(), target); err != nil {
		t.Errorf("the API server's refusal to create in a terminating namespace became an error: %v", err)
	}
	if len(w.ledger.pending) != 0 {
		t.Error("a namespace that goes away is reported")
	}
}
func TestACredentialOfANameThatIsNotServedIsToldSo(t *testing.T) {
	w, ns := newWorld(t)
	w.Scope = view.Scope{SecretNames: sets.New("served")}
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if ready := w.ready(target); ready.Reason != "NameNotServed" || !strings.Contains(ready.Message, "served (--secret-names)") {
		t.Errorf("Ready is %s: %s", ready.Reason, ready.Message)
	}
	if got := w.links(ns, "default"); len(got) > 0 {
		t.Errorf("linked to %q, which nobody will write", got)
	}
}
