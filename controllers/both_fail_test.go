package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/regcred/regcred/api/v1alpha1"
)

// refusing answers every change of a Secret or a ServiceAccount with an error.
func (w *world) refusing(err func(client.Object) error) {
	w.Helper()
	watched, failed := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(failed)
	w.Client = interceptor.NewClient(watched, interceptor.Funcs{
		Update: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.UpdateOption) error {
			return err(o)
		},
		Patch: func(_ context.Context, _ client.WithWatch, o client.Object, _ client.Patch, _ ...client.PatchOption) error {
			return err(o)
		},
	})
}

// A namespace in which nothing may be written holds a live token, and no ServiceAccount names it: its pods cannot pull, and both reasons are told.
func TestAWriteAndALinkThatFailAreBothTold(t *testing.T) {
	for name, refuse := range map[string]func(client.Object) error{
		"refused": func(o client.Object) error {
			return apierrors.NewForbidden(corev1.Resource("things"), o.GetName(), errors.New("no"))
		},
		"not answered": func(client.Object) error { return context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			sa := &corev1.ServiceAccount{}
			w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "default"}, sa))
			sa.ImagePullSecrets = nil
			w.must(w.admin.Update(t.Context(), sa))
			w.patch(target, "kubectl", `{"metadata":{"labels":{"regcred.dev/secret":null}}}`)
			w.patch(target, "kubectl", emptied)
			w.patch(target, "kubectl", `{"metadata":{"labels":{"regcred.dev/secret":"target"}}}`)
			w.refusing(refuse)
			_, _ = w.Reconcile(t.Context(), target) // whose error the queue takes
			status := w.report(target)
			if len(status.Failures) != 1 || status.Namespaces.Current != 0 {
				t.Fatalf("%d current, failures: %v", status.Namespaces.Current, status.Failures)
			}
			for _, what := range []string{"Secret " + target.Secret().String(), "ServiceAccount " + ns + "/default"} {
				if !strings.Contains(status.Failures[0].Message, what) {
					t.Errorf("%s is not in %q", what, status.Failures[0].Message)
				}
			}
			if ready := w.ready(target); ready.Status != metav1.ConditionFalse {
				t.Errorf("Ready=%s %s", ready.Status, ready.Reason)
			}
		})
	}
}

// blind lists no ServiceAccounts.
type blind struct{ client.Reader }

func (b blind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, accounts := list.(*corev1.ServiceAccountList); accounts {
		return errors.New("not now")
	}
	return b.Reader.List(ctx, list, opts...)
}

func TestLinksThatCannotBeLookedAtAreReportedAndDelayNoToken(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.Cache = blind{w.Cache}
	var err error
	for range 3 {
		if _, err = w.Reconcile(t.Context(), target); !w.waits(target) {
			break
		}
		<-w.woken
	}
	if err == nil {
		t.Error("the queue does not space out the tries")
	}
	if len(tokens(t, w.secret(target))) != 1 {
		t.Error("no token was published")
	}
	status := w.report(target)
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonInternal || !strings.Contains(f[0].Message, "linking the ServiceAccounts of namespace "+ns) ||
		status.Namespaces.Current != 0 {
		t.Errorf("failures: %v, current: %v", f, status.Namespaces)
	}
}

func TestACredentialThatIsMadeAnewIsNoticed(t *testing.T) {
	before := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "pull", UID: "1", Generation: 1}}
	after := before.DeepCopy()
	if specChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
		t.Error("nothing has changed")
	}
	after.UID = "2"
	if !specChanged.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
		t.Error("a namesake is not noticed")
	}
}
