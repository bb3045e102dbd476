package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// outrun has somebody else change the Secret before each write of it, as long as faster says so.
func (w *world) outrun(target credential.Target, faster *bool) {
	w.Helper()
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	before := func(o client.Object) {
		if _, ok := o.(*corev1.Secret); ok && *faster {
			w.patch(target, "somebody", fmt.Sprintf(`{"metadata":{"annotations":{"changed-at":%q}}}`, w.time.Now()))
		}
	}
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			before(o)
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			before(o)
			return c.Patch(ctx, o, patch, opts...)
		},
	}), v1alpha1.FieldManager)
}

func TestASecretThatIsChangedFasterThanItCanBeWrittenIsToldOf(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	expires := w.report(target).Registries[0].ExpiresAt
	faster := true
	w.outrun(target, &faster)
	another := func(account string) { // whose token is to be written
		w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Registries[0].ECR.Accounts = []string{account} })
	}
	told := func() bool {
		w.step(time.Second)
		w.run(target)
		f := w.report(target).Failures
		return len(f) == 1 && f[0].Reason == v1alpha1.ReasonContended && strings.Contains(f[0].Message, "before it can be written")
	}
	another("111111111111")
	for range 5 {
		if told() {
			t.Fatal("the first times are no fight")
		}
	}
	if !told() {
		t.Errorf("nothing is told of it: %v", w.report(target).Failures)
	}
	if now := w.report(target).Registries[0].ExpiresAt; !now.Equal(expires) {
		t.Errorf("what the Secret holds ends at %v, not at %v", now, expires)
	}
	faster = false
	if told() {
		t.Error("it is written, and still told of")
	}
	faster = true
	another("222222222222")
	if told() {
		t.Error("it was written meanwhile: this is the first time again")
	}
}
