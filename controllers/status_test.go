package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

func TestTheDeathOfATokenIsReportedThoughNothingHappens(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	w.report(target)
	result, err := w.status.Reconcile(t.Context(), target.Credential)
	w.must(err)
	if result.RequeueAfter != 30*time.Minute {
		t.Errorf("the status is looked at again after %s, want half an hour: the clock may jump", result.RequeueAfter)
	}
	w.step(life - time.Minute)
	result, err = w.status.Reconcile(t.Context(), target.Credential)
	w.must(err)
	if result.RequeueAfter != time.Minute {
		t.Errorf("the status is looked at again after %s, want a minute: what is left of the token's life", result.RequeueAfter)
	}
	w.step(result.RequeueAfter)
	if ready := w.ready(target); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonExpired {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	w.report(target)
	if told := w.told(); strings.Count(told, "Warning Expired") != 1 {
		t.Errorf("events: %s", told)
	}
}

func TestAStatusWaitsForTargetsNotHeardOfSinceTheStart(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	if got := w.report(target); len(got.Conditions) != 0 {
		t.Error("a status was written before the target was heard of")
	}
	w.step(settle)
	if got := w.ready(target); got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonProgressing {
		t.Errorf("Ready=%s %s", got.Status, got.Reason)
	}
}
