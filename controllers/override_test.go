package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/providers/static"
)

// overridden is a credential whose only entry has a login by hand for an hour.
func overridden(t *testing.T, w *world, ns string) credential.Target {
	t.Helper()
	w.Tokens = broker.New(t.Context(), broker.Options{Clock: w.time, Providers: map[string]providers.Provider{"ecr": w.mint, static.Name: static.New(w.time)}})
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: ns, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
	login.StringData = map[string]string{"username": "hand", "password": canary + "by-hand"}
	w.must(w.admin.Create(t.Context(), login))
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].Override = &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: ns}, Until: metav1.NewTime(w.time.Now().Add(time.Hour))}
	})
	return target
}

func TestALoginByHandTakesThePlaceOfTheTokenWhileItLasts(t *testing.T) {
	w, ns := newWorld(t)
	target := overridden(t, w, ns)
	result := w.run(target)
	if got := tokens(t, w.secret(target))[host("eu-west-1")]; got != canary+"by-hand" {
		t.Error("the login by hand is not published")
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Hour {
		t.Errorf("it comes back after %s", result.RequeueAfter)
	}
	status := w.report(target)
	if r := status.Registries[0]; r.Reason != v1alpha1.ReasonOverridden || r.ExpiresAt == nil || !r.ExpiresAt.Equal(new(metav1.NewTime(w.time.Now().Add(time.Hour)))) {
		t.Errorf("status: %+v", r)
	}
	w.expectReady("while it lasts", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); !strings.Contains(told, "Normal Overridden") {
		t.Errorf("events: %s", told)
	}

	w.step(time.Hour)
	w.mint.breakWest(errRefused)
	w.mint.change = func(token *providers.Token) { token.ExpiresAt = w.time.Now().Add(2 * life) }
	w.run(target)
	if got := tokens(t, w.secret(target))[host("eu-west-1")]; !strings.HasPrefix(got, canary) {
		t.Error("at its end nothing is published")
	}
	w.mint.breakWest(nil)
	w.step(5 * time.Minute)
	w.run(target)
	if got := tokens(t, w.secret(target))[host("eu-west-1")]; !strings.Contains(got, "eu-west-1") {
		t.Error("the provider's token is not back")
	}
	w.expectReady("afterwards", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
}

func TestAnOverrideThatCannotTakeEffectIsToldAndTheTokenStays(t *testing.T) {
	w, ns := newWorld(t)
	target := overridden(t, w, ns)
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].Override.Until = metav1.NewTime(w.time.Now().Add(8 * 24 * time.Hour))
	})
	w.run(target)
	if got := tokens(t, w.secret(target))[host("eu-west-1")]; !strings.Contains(got, "eu-west-1") {
		t.Error("the provider's token did not stay")
	}
	if r := w.report(target).Registries[0]; r.Reason != v1alpha1.ReasonOverrideInvalid {
		t.Errorf("status: %+v", r)
	}
}

func TestTheSecretFollowsTheTemplateAndWhatOthersAddStays(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) {
		s.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"cost": "a", "gone": "soon"}, Annotations: map[string]v1alpha1.AnnotationValue{"note": "b"}}
	}, registry("a", "eu-west-1"))
	w.run(target)
	s := w.secret(target)
	if s.Labels["cost"] != "a" || s.Labels["gone"] != "soon" || s.Annotations["note"] != "b" {
		t.Fatalf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
	before := s.UID
	w.must(w.admin.Patch(t.Context(), s, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"cost":null,"foreign":"x"},"annotations":{"note":"edited"}}}`))))
	w.run(target)
	if s = w.secret(target); s.Labels["cost"] != "a" || s.Labels["foreign"] != "x" || s.Annotations["note"] != "b" {
		t.Errorf("after an edit: labels %v, annotations %v", s.Labels, s.Annotations)
	}
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"cost": "c"}}
	})
	w.run(target)
	s = w.secret(target)
	_, gone := s.Labels["gone"]
	_, note := s.Annotations["note"]
	if s.Labels["cost"] != "c" || gone || note || s.Labels["foreign"] != "x" || s.UID != before {
		t.Errorf("after a change of the spec: labels %v, annotations %v", s.Labels, s.Annotations)
	}
	version := s.ResourceVersion
	w.run(target)
	if w.secret(target).ResourceVersion != version || w.mint.count() != 1 {
		t.Error("a Secret that follows the template is written again, or a token minted")
	}
}
