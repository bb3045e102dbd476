package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// blocking lets nobody create a Secret in a namespace until the end of the test, and tells when it is tried.
func (w *world) blocking(namespace string) (tried chan string) {
	w.Helper()
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	tried = make(chan string, 10)
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if o.GetNamespace() == namespace {
				tried <- o.GetName()
				<-w.Context().Done()
				return w.Context().Err()
			}
			return c.Create(ctx, o, opts...)
		},
	}), v1alpha1.FieldManager)
	return tried
}

// tenant makes a namespace like that of newWorld, and returns its name.
func (w *world) tenant() string {
	w.Helper()
	ns := "t" + strings.ReplaceAll(time.Now().Format("150405.000000000"), ".", "")
	w.must(w.admin.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"team": ns}}}))
	w.serviceAccount(ns, "default", nil)
	return ns
}

func TestLargeSecretsWhoseWebhookHangsHoldOneSecretsWorthOfMemory(t *testing.T) {
	w, good := newWorld(t)
	bad := w.tenant()
	w.mint.padding = strings.Repeat("x", 700<<10)
	first := w.apply(bad, nil, registry("prod", "eu-west-1"))
	second := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: bad + "-2"}}
	second.Spec = *w.credential(bad).Spec.DeepCopy()
	w.must(w.admin.Create(t.Context(), second))
	tried := w.blocking(bad)

	_, err := w.Reconcile(t.Context(), first) // which mints
	w.must(err)
	<-w.woken
	go func() { _, _ = w.Reconcile(w.Context(), first) }() // which hangs
	<-tried
	done := make(chan time.Duration, 1)
	go func() {
		result, _ := w.Reconcile(w.Context(), credential.Target{Credential: credential.KeyOf(second), Namespace: bad, Name: second.Name})
		done <- result.RequeueAfter
	}()
	select {
	case name := <-tried:
		t.Errorf("%s was composed, too, while another hangs", name)
	case again := <-done:
		if again != pendingGrace {
			t.Errorf("it is tried again in %s", again)
		}
	}
	// The neighbour's is as large.
	neighbour := w.apply(good, nil, registry("prod", "eu-west-1"))
	w.run(neighbour)
	if size := len(w.secret(neighbour).Data[corev1.DockerConfigJsonKey]); size < 900<<10 {
		t.Errorf("the neighbour's Secret has %d bytes", size)
	}
}
