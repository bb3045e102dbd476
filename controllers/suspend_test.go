package controllers

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

func (w *world) suspend(name string, suspended bool) {
	w.Helper()
	w.change(name, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Suspend = suspended })
}

func (w *world) expectReady(when string, got metav1.Condition, status metav1.ConditionStatus, reason string) {
	w.Helper()
	if got.Status != status || got.Reason != reason {
		w.Errorf("%s: Ready=%s %s: %s", when, got.Status, got.Reason, got.Message)
	}
}

// heeding notes which credentials are said to be suspended.
type heeding struct {
	target.Tokens
	suspended *[]providers.Owner
}

func (h heeding) Suspend(owner providers.Owner) {
	*h.suspended = append(*h.suspended, owner)
	h.Tokens.Suspend(owner)
}

func TestASuspendedCredentialSaysSoWhereItsCallsWait(t *testing.T) {
	w, ns := newWorld(t)
	var suspended []providers.Owner
	w.Tokens = heeding{w.Tokens, &suspended}
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	if len(suspended) != 0 {
		t.Errorf("%v before it is", suspended)
	}
	w.suspend(target.Credential.Name, true)
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.NamespaceSelector.MatchLabels["team"] = "other" })
	w.run(target) // in a namespace that it does not select any more
	if !slices.Equal(suspended, []providers.Owner{target.Credential.Owner()}) {
		t.Errorf("%v, not %s", suspended, target.Credential)
	}
}

func TestASuspendedCredentialIsADryRun(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.Suspend = true }, registry("a", "eu-west-1"))
	if result := w.run(target); result.RequeueAfter != 0 {
		t.Errorf("it comes back after %s", result.RequeueAfter)
	}
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("a Secret was written: %v", err)
	}
	if got := w.links(ns, "default"); len(got) != 0 || w.mint.count() != 0 {
		t.Errorf("linked: %v, %d calls", got, w.mint.count())
	}
	w.expectReady("never served", w.ready(target), metav1.ConditionUnknown, v1alpha1.ReasonSuspended)

	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: target.Name}}
	w.must(w.admin.Create(t.Context(), foreign))
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.ServiceAccounts = nil })
	w.run(target)
	if got := w.report(target); got.Namespaces.Selected != 1 || got.Namespaces.Conflicting != 1 {
		t.Errorf("it would meet %+v", got.Namespaces)
	}
}

func TestASuspendedCredentialDoesNothingAndGoesOnWhereItStood(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	before := w.secret(target)
	w.suspend(target.Credential.Name, true)
	w.restart()
	w.run(target)
	w.expectReady("served before", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonSuspended)

	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.NamespaceSelector.MatchLabels["team"] = "other" })
	w.run(target)
	if after := w.secret(target); after.ResourceVersion != before.ResourceVersion || !slices.Equal(w.links(ns, "default"), []string{target.Name}) {
		t.Error("a namespace that is deselected while suspended is cleared")
	}
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.NamespaceSelector.MatchLabels["team"] = v1alpha1.LabelValue(ns)
	})
	w.step(life)
	w.run(target)
	w.expectReady("after the token's end", w.ready(target), metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	if after := w.secret(target); after.ResourceVersion != before.ResourceVersion || w.mint.count() != 1 {
		t.Errorf("the Secret was written, or a token minted: %d calls", w.mint.count())
	}

	w.suspend(target.Credential.Name, false)
	w.run(target)
	w.expectReady("resumed", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if after := w.secret(target); after.UID != before.UID || w.mint.count() != 2 {
		t.Errorf("%d calls, and the Secret was made anew: %t", w.mint.count(), after.UID != before.UID)
	}
}
