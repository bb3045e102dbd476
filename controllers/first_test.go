package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// newcomer is another target of the credential, in a namespace that has just come.
func (w *world) newcomer(of credential.Target) credential.Target {
	w.Helper()
	ns := w.tenant()
	w.must(w.admin.Update(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"team": of.Namespace}}}))
	of.Namespace = ns
	return of
}

func TestASecretIsMadeWithoutALookWhileItsTokenIsInMemory(t *testing.T) {
	w, ns := newWorld(t)
	first := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts = nil }, registry("prod", "eu-west-1"))
	w.run(first)
	reads := w.countReads()
	free := w.newcomer(first)
	w.run(free)
	if len(tokens(t, w.secret(free))) != 1 || *reads != 0 || w.mint.count() != 1 {
		t.Errorf("%d reads, %d calls", *reads, w.mint.count())
	}

	taken := w.newcomer(first)
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: taken.Namespace, Name: taken.Name}}
	w.must(w.admin.Create(t.Context(), theirs))
	w.run(taken)
	w.run(taken)
	if *reads != 1 || w.secret(taken).ResourceVersion != theirs.ResourceVersion {
		t.Errorf("%d reads of a Secret that is somebody else's, want one, and no change", *reads)
	}
	if f := w.report(taken).Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonSecretConflict || f[0].Namespaces[0] != taken.Namespace {
		t.Errorf("failures: %v", f)
	}
}

func TestASecretThatIsToBeLinkedOrNeedsATokenIsLookedAtFirst(t *testing.T) {
	w, ns := newWorld(t)
	first := w.apply(ns, nil, registry("prod", "eu-west-1"))
	reads := w.countReads()
	w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: first.Namespace, Name: first.Name}}))
	w.run(first)
	if *reads != 1 || w.mint.count() != 0 {
		t.Errorf("%d reads and %d calls for a Secret that is somebody else's", *reads, w.mint.count())
	}
	w.run(w.newcomer(first)) // which brings the token into memory

	taken := w.newcomer(first)
	w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: taken.Namespace, Name: taken.Name}}))
	w.run(taken)
	if links := w.links(taken.Namespace, "default"); len(links) != 0 {
		t.Errorf("linked to a Secret that is somebody else's: %v", links)
	}
}
