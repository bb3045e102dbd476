package controllers

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// What somebody asks for in an emergency is there in every namespace without the clock having moved: it waits for no jitter.
func TestAnOverrideIsPublishedEverywhereAtOnce(t *testing.T) {
	w, ns, _ := withOverrides(t)
	targets := []credential.Target{w.apply(ns, nil, registry("a", "eu-west-1"))}
	for i := range 9 {
		name := fmt.Sprintf("%s-%d", ns, i)
		w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": ns}}}))
		w.serviceAccount(name, "default", nil)
		targets = append(targets, credential.Target{Credential: targets[0].Credential, Namespace: name, Name: targets[0].Name})
	}
	for _, target := range targets {
		w.run(target)
	}
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Registries[0].Override = w.override(ns) })
	for _, target := range targets {
		w.run(target)
		w.expectPublished(target.Namespace, target, byHand)
	}
	w.expectRegistry("while it lasts", targets[0], v1alpha1.ReasonOverridden, "until ")
	if w.mint.count() != 1 {
		t.Errorf("%d calls: the provider has no part in it", w.mint.count())
	}
}

func TestRefreshRequestsNearerThanAMinuteAreOne(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.step(time.Hour)
	expect := func(when, handled string, calls int) {
		t.Helper()
		if got := w.report(target).LastHandledRefreshAt; got != handled || w.mint.count() != calls {
			t.Errorf("%s: handled is %q after %d calls; want %q after %d", when, got, w.mint.count(), handled, calls)
		}
	}
	request := func(value string) {
		w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
			c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: value}
		})
	}
	expect("before any", "", 1)
	request("1")
	w.run(target)
	expect("the first is answered at once", "1", 2)
	for _, value := range []string{"2", "3", "4"} {
		w.step(time.Second)
		request(value)
		_, err := w.Reconcile(t.Context(), target)
		w.must(err)
		expect("further ones wait", "1", 2)
	}
	w.step(time.Minute)
	w.run(target)
	expect("and are one", "4", 3)
	w.step(time.Hour)
	w.run(target)
	expect("which is answered once", "4", 3)
}
