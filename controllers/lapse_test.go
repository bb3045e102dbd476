package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

// publicHost is the registry that is pulled from without a login, too.
const publicHost = "public.ecr.aws"

// lapsing is a credential with an entry for ECR Public beside others, and a cloud that gives no second token to that entry.
func lapsing(t *testing.T, others ...v1alpha1.Registry) (*world, credential.Target) {
	t.Helper()
	w, ns := newWorld(t)
	w.mint.change = func(token *providers.Token) {
		if token.Logins[0].Hosts[0] == hostIn("123456789012", "") {
			token.Logins[0].Hosts[0] = publicHost
			return
		}
		token.ExpiresAt = w.time.Now().Add(2 * life)
	}
	target := w.apply(ns, nil, append(others, v1alpha1.Registry{Name: "public", ECRPublic: &v1alpha1.ECRPublic{}})...)
	w.run(target)
	w.mint.fail[""] = errRefused
	return w, target
}

func TestAnExpiredTokenOfAPublicRegistryIsWithdrawn(t *testing.T) {
	w, target := lapsing(t, registry("prod", "eu-west-1"))
	w.step(life - time.Minute)
	result := w.run(target)
	if got := tokens(t, w.secret(target)); got[publicHost] == "" {
		t.Fatal("a token that lives is withdrawn")
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
		t.Errorf("it comes back after %s, and the token ends in a minute", result.RequeueAfter)
	}
	uid := w.secret(target).UID
	w.told()
	w.step(time.Minute)
	w.run(target)
	after := w.secret(target)
	if got := tokens(t, after); got[publicHost] != "" || got[host("eu-west-1")] == "" || after.UID != uid {
		t.Errorf("the Secret holds logins for %v", got)
	}
	w.expectReady("when it is withdrawn", w.ready(target), metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	if told := w.told(); strings.Count(told, "Warning Lapsed") != 1 {
		t.Errorf("events: %s", told)
	}
	w.run(target)
	if w.secret(target).ResourceVersion != after.ResourceVersion {
		t.Error("it is written again though nothing has changed")
	}

	delete(w.mint.fail, "")
	w.step(10 * time.Minute)
	w.run(target)
	if got := tokens(t, w.secret(target)); got[publicHost] == "" {
		t.Error("the next token is not published")
	}
	w.expectReady("with the next token", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
}

func TestAnExpiredTokenOfAPublicRegistryThatIsAloneTakesItsSecretWithIt(t *testing.T) {
	w, target := lapsing(t)
	w.step(life)
	w.run(target)
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the Secret is still there: %v", err)
	}
	w.Deleted(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}})
	w.run(target)
	if !slices.Contains(w.links(target.Namespace, "default"), target.Name) {
		t.Error("the link is gone: pods that start now would not profit from the next token")
	}
	w.expectReady("without a Secret", w.ready(target), metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	delete(w.mint.fail, "")
	w.step(10 * time.Minute)
	w.run(target)
	if got := tokens(t, w.secret(target)); got[publicHost] == "" {
		t.Error("the next token is not published")
	}
}

func TestAnExpiredTokenOfAPrivateRegistryStays(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.mint.breakWest(errRefused)
	before := w.secret(target).ResourceVersion
	w.step(life)
	w.run(target)
	if w.secret(target).ResourceVersion != before {
		t.Error("a Secret of which the last good bytes are to stay was written")
	}
	w.expectReady("when it has expired", w.ready(target), metav1.ConditionFalse, v1alpha1.ReasonExpired)
}

func TestASecretThatIsKeptOutlivesItsExpiredToken(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.DeletionPolicy = v1alpha1.DeletionPolicyRetain },
		v1alpha1.Registry{Name: "public", ECRPublic: &v1alpha1.ECRPublic{}})
	w.run(target)
	w.mint.fail[""] = errRefused
	w.step(life)
	if result := w.run(target); result.RequeueAfter < time.Second {
		t.Errorf("it comes back after %s", result.RequeueAfter)
	}
	w.secret(target)
}
