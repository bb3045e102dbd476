package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// patching answers patches of ServiceAccounts with an error.
func (w *world) patching(err error) {
	w.Helper()
	watched, failed := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(failed)
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{Patch: func(
		ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption,
	) error {
		if _, ok := o.(*corev1.ServiceAccount); ok && err != nil {
			return err
		}
		return c.Patch(ctx, o, patch, opts...)
	}}), v1alpha1.FieldManager)
}

func TestALinkThatFailsStopsNoToken(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"a webhook that does not answer": {apierrors.NewInternalError(errors.New(`failed calling webhook "sa.example.com": no endpoints`)), "the admission webhook sa.example.com"},
		"a policy":                       {apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "default", errors.New(`ValidatingAdmissionPolicy 'no-links' with binding 'b' denied request: secret text`)), "the admission policy no-links"},
		"no right":                       {apierrors.NewForbidden(corev1.Resource("serviceaccounts"), "default", errors.New("canary")), "RBAC"},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.patching(c.err)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			if len(tokens(t, w.secret(target))) != 1 {
				t.Error("no token was published")
			}
			failures := w.report(target).Failures
			if len(failures) != 1 || failures[0].Reason != v1alpha1.ReasonLinkFailed || !strings.Contains(failures[0].Message, c.says) || strings.Contains(failures[0].Message, "secret text") {
				t.Errorf("failures: %v", failures)
			}
		})
	}
}

func TestAServiceAccountThatHasChangedIsLookedAtAgain(t *testing.T) {
	w, ns := newWorld(t)
	w.patching(apierrors.NewConflict(corev1.Resource("serviceaccounts"), "default", errors.New("changed")))
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	if after := w.run(target).RequeueAfter; after != unseen {
		t.Errorf("looked at again after %s, want %s", after, unseen)
	}
	w.patching(nil)
	w.run(target)
	if got := w.links(ns, "default"); len(got) != 1 {
		t.Errorf("linked to %v", got)
	}
}

func TestAForeignSecretCostsOneReadEverMoreRarely(t *testing.T) {
	w, ns := newWorld(t)
	w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns}}))
	reads := 0
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	w.Live = interceptor.NewClient(watched, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		reads++
		return c.Get(ctx, key, o, opts...)
	}})
	w.Client = interceptor.NewClient(watched, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		t.Error("a Secret is created that is there")
		return nil
	}})
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	last := time.Duration(0)
	for look := range 8 {
		after := w.run(target).RequeueAfter
		if reads != look+1 {
			t.Fatalf("%d reads in %d looks", reads, look+1)
		}
		if after < last || after > 30*time.Minute || look == 0 && after != credential.RetryAfter {
			t.Errorf("look %d: again after %s", look, after)
		}
		last = min(after, 26*time.Minute)
		w.run(target) // an event of something else
		w.step(after)
	}
	if last < 26*time.Minute {
		t.Errorf("still looked at every %s", last)
	}
	if got := w.links(ns, "default"); len(got) > 0 || w.mint.count() > 0 {
		t.Errorf("linked to %v, and %d tokens minted, for a Secret in conflict", got, w.mint.count())
	}
	// Who changes the credential is answered at once.
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Annotations = map[string]string{"x": "y"} })
	w.run(target)
	if reads != 9 {
		t.Errorf("%d reads after the credential has changed, want 9", reads)
	}
}

func TestAFightHasABudget(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	edit := func() {
		s := w.secret(target)
		s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`)
		w.must(w.admin.Update(t.Context(), s, client.FieldOwner("ar\"go")))
	}
	repaired := 0
	var wait time.Duration
	for range 12 {
		edit()
		w.step(time.Second)
		wait = w.run(target).RequeueAfter
		if len(tokens(t, w.secret(target))) == 1 {
			repaired++
		}
	}
	if repaired > 7 || repaired < 5 {
		t.Errorf("repaired %d times in twelve seconds, want 6", repaired)
	}
	failures := w.report(target).Failures
	if len(failures) != 1 || failures[0].Reason != v1alpha1.ReasonContended || !strings.Contains(failures[0].Message, `the field manager "ar\"go"`) {
		t.Errorf("failures: %v", failures)
	}
	for range 8 {
		w.step(wait)
		w.run(target)
		if len(tokens(t, w.secret(target))) != 1 {
			t.Fatal("not repaired after the truce")
		}
		edit()
		next := w.run(target).RequeueAfter
		if next < wait-time.Second || next > 5*time.Minute {
			t.Errorf("a truce of %s after one of %s", next, wait)
		}
		wait = next
	}
	if wait != 5*time.Minute {
		t.Errorf("the last truce is of %s", wait)
	}
	w.step(11 * time.Minute)
	w.run(target)
	w.step(11 * time.Minute)
	edit()
	w.run(target)
	if len(tokens(t, w.secret(target))) != 1 {
		t.Error("what was peace for long is not repaired at once")
	}
}

func TestTheTokenOfARemovedEntryGoesThoughNothingElseIsLeft(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.fail["us-east-1"] = errRefused
	target := w.apply(ns, nil, registry("a", "eu-west-1"), registry("b", "us-east-1"))
	w.step(pendingGrace)
	w.run(target)
	w.secret(target)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Registries = c.Spec.Registries[1:] })
	w.run(target)
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret with the token of the removed entry is still there: %v", err)
	}
}

func TestASecretThatLostOurLabelIsRepairedWithoutACreate(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	s := w.secret(target)
	delete(s.Labels, v1alpha1.LabelSecret)
	w.must(w.admin.Update(t.Context(), s))
	w.step(time.Minute)
	w.run(target)
	if got := w.secret(target).Labels[v1alpha1.LabelSecret]; got != v1alpha1.LabelSecretTarget {
		t.Errorf("the label is %q", got)
	}
}
