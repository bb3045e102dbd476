package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
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

	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now"}
	})
	w.step(time.Second)
	w.run(first)
	w.run(w.newcomer(first))
	if *reads != 0 || w.mint.count() != 2 {
		t.Errorf("after a refresh request: %d reads, %d calls", *reads, w.mint.count())
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

// noneMayBeMade answers every creation with an error, and counts them.
func (w *world) noneMayBeMade(because error) (tried *int) {
	w.Helper()
	tried = new(int)
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			*tried++
			return because
		},
	}), v1alpha1.FieldManager)
	return tried
}

func TestASecretWithoutOurLabelIsFoundWhereNoneMayBeMade(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts = nil }, registry("prod", "eu-west-1"))
	w.run(target)
	secret := w.secret(target)
	delete(secret.Labels, v1alpha1.LabelSecret)
	w.must(w.admin.Update(t.Context(), secret))
	w.deleted(secret)
	w.Cache = labelled{w.admin}
	made := w.noneMayBeMade(apierrors.NewForbidden(corev1.Resource("secrets"), target.Name, errors.New("exceeded quota: full")))
	w.run(target)
	if now := w.secret(target); now.Labels[v1alpha1.LabelSecret] == "" || now.UID != secret.UID || *made > 1 {
		t.Errorf("labels %v after %d refused creations", now.Labels, *made)
	}

	fresh := w.newcomer(target)
	w.run(fresh)
	if f := w.report(fresh).Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonSecretRejected {
		t.Errorf("a Secret that the quota refuses: %v", f)
	}
}

// lateAccounts shows no ServiceAccount at first, as of a namespace that has just come.
type lateAccounts struct {
	client.Reader
	asked *bool
}

func (l lateAccounts) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*corev1.ServiceAccountList); ok && !*l.asked {
		*l.asked = true
		return nil
	}
	return l.Reader.List(ctx, list, opts...)
}

func TestAServiceAccountThatComesMeanwhileIsNotLinkedToASecretOfOthers(t *testing.T) {
	w, ns := newWorld(t)
	first := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(first)
	taken := w.newcomer(first)
	w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: taken.Namespace, Name: taken.Name}}))
	w.Cache = lateAccounts{labelled{w.admin}, new(bool)}
	w.run(taken)
	if links := w.links(taken.Namespace, "default"); len(links) != 0 {
		t.Errorf("linked to a Secret that is somebody else's: %v", links)
	}
}

func TestAWebhookThatSaysAlreadyExistsIsARefusal(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.noneMayBeMade(&apierrors.StatusError{ErrStatus: metav1.Status{
		Reason: metav1.StatusReasonAlreadyExists, Message: `admission webhook "one.example" denied the request: one is enough`,
	}})
	w.run(target)
	if f := w.report(target).Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonSecretRejected {
		t.Errorf("failures: %v", f)
	}
}

func TestRecordsThatSayNothingAreRepairedWithinTheBudget(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	repaired := 0
	for range 12 {
		w.forge(target, "x")
		w.step(time.Second)
		w.run(target)
		if w.secret(target).Annotations[pullsecret.AnnotationRegistries] != "x" {
			repaired++
		}
	}
	if f := w.report(target).Failures; repaired > 7 || len(f) != 1 || f[0].Reason != v1alpha1.ReasonContended {
		t.Errorf("repaired %d times in twelve seconds, and failures: %v", repaired, f)
	}
}
