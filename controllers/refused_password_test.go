package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/providers/verify"
)

// A password that only a person can replace, and that the registry has revoked, is published in many namespaces: nothing is written until
// that person replaces it, and everybody is told whose Secret it is.
func TestARefusedPasswordIsLeftToWhoKeepsIt(t *testing.T) {
	w, first := newHubWorld(t, map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity})
	w.Tokens = broker.New(t.Context(), broker.Options{
		Clock: w.time, Providers: map[string]providers.Provider{static.Name: static.New(w.time)}, Trials: verify.New(w.hub.Transport(), nil),
	})
	p := &failedPulls{world: w.world}
	p.lead()
	targets := []credential.Target{first}
	for i := range 19 {
		ns := fmt.Sprintf("%s-%d", first.Namespace, i)
		w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"team": first.Namespace}}}))
		w.serviceAccount(ns, "default", nil)
		targets = append(targets, credential.Target{Credential: first.Credential, Namespace: ns, Name: first.Name})
	}
	versions := map[credential.Target]string{}
	for _, target := range targets {
		w.run(target)
		versions[target] = w.secret(target).ResourceVersion
	}
	if ready := w.ready(first); ready.Status != metav1.ConditionTrue {
		t.Fatalf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	w.told()

	mended := newToken(w.hub) // which ends the published one at the registry
	for i := range 5 {
		w.step(time.Minute)
		p.fail(p.pod(first.Namespace, fmt.Sprintf("app-%d", i), "docker.io/team/app:v1", names(first.Name)))
		p.settle()
		for _, target := range targets {
			w.run(target)
		}
	}
	cure := "replace it in Secret " + home + "/" + first.Namespace
	told := w.told()
	if !strings.Contains(told, v1alpha1.CauseTokenRefused) || !strings.Contains(told, cure) || strings.Contains(told, "is replaced") || strings.Contains(told, "written anew") {
		t.Errorf("told: %s", told)
	}
	if ready := w.ready(first); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonTokenRefused || !strings.Contains(ready.Message, cure) {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	for _, target := range targets {
		if got := w.secret(target).ResourceVersion; got != versions[target] {
			t.Errorf("the Secret of %s was written", target.Namespace)
		}
	}

	w.source.Data = mended
	w.must(w.admin.Update(t.Context(), w.source))
	for _, target := range targets {
		w.run(target)
		if !w.pulls(w.secret(target)) {
			t.Errorf("the Secret of %s does not pull", target.Namespace)
		}
	}
	if ready := w.ready(first); ready.Status != metav1.ConditionTrue {
		t.Errorf("after the password was replaced: Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
}
