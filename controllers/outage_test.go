package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
)

// hangingFor lets no change of the objects that concern says yes to come to an end, and notes which were tried.
func (w *world) hangingFor(concerns func(client.Object) bool) (tried *[]string) {
	w.Helper()
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	tried = &[]string{}
	hangs := func(ctx context.Context, o client.Object) error {
		if !concerns(o) {
			return nil
		}
		*tried = append(*tried, o.GetName())
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 15*time.Second {
			w.Errorf("a change of %s may take for ever", o.GetName())
		}
		return context.DeadlineExceeded // as if it had
	}
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := hangs(ctx, o); err != nil {
				return err
			}
			return c.Patch(ctx, o, patch, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := hangs(ctx, o); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
	}), v1alpha1.FieldManager)
	return tried
}

func TestServiceAccountsThatCannotBeChangedHoldUpNeitherTheTokenNorTheOthers(t *testing.T) {
	w, ns := newWorld(t)
	names := []string{"a-hung", "b-hung", "default", "z-good"}
	for _, name := range []string{"a-hung", "b-hung", "z-good"} {
		w.serviceAccount(ns, name, nil)
	}
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts.Names = names }, registry("prod", "eu-west-1"))
	tried := w.hangingFor(func(o client.Object) bool { return strings.HasSuffix(o.GetName(), "-hung") })

	_, err := w.Reconcile(t.Context(), target)
	w.must(err)
	if len(*tried) != 1 {
		t.Errorf("%v are waited for before the token, want one", *tried)
	}
	result := w.run(target)
	if len(tokens(t, w.secret(target))) != 1 {
		t.Error("no token was published")
	}
	status := w.report(target)
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonLinkFailed || f[0].Namespaces[0] != ns || !strings.Contains(f[0].Message, "hung") || status.Namespaces.Current != 0 {
		t.Errorf("failures: %v, current: %v", f, status.Namespaces)
	}
	for range 3 {
		w.step(result.RequeueAfter)
		result = w.run(target)
	}
	for _, good := range []string{"default", "z-good"} {
		if !slices.Equal(w.links(ns, good), []string{target.Name}) {
			t.Errorf("%s is not linked", good)
		}
	}
	// Within ten minutes each of the two is tried ever more rarely.
	before := len(*tried)
	for start := w.time.Now(); w.time.Now().Sub(start) < 10*time.Minute; {
		w.step(max(result.RequeueAfter, time.Millisecond))
		result = w.run(target)
	}
	if got := len(*tried) - before; got > 20 {
		t.Errorf("tried %d times in ten minutes", got)
	}
	w.Client = client.WithFieldOwner(w.admin, v1alpha1.FieldManager)
	w.step(2 * time.Minute)
	w.run(target)
	if got := w.links(ns, "a-hung"); len(got) != 1 {
		t.Errorf("it is linked to %v when it can be changed again", got)
	}
}

func TestASecretThatCannotBeWrittenIsReported(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.hangingFor(func(o client.Object) bool { _, ok := o.(*corev1.Secret); return ok })
	for range 3 {
		if _, err := w.Reconcile(t.Context(), target); err != nil {
			break
		}
		select {
		case <-w.woken:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody woke the target")
		}
	}
	status := w.report(target)
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonInternal || f[0].Namespaces[0] != ns || !strings.Contains(f[0].Message, "Secret "+target.Secret().String()) {
		t.Errorf("failures: %v", f)
	}
}
