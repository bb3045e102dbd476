package controllers

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/revoke"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/test/cloud"
)

// hubWorld is a world with Docker Hub in it, and a Secret that holds a personal access token for it.
type hubWorld struct {
	*world
	hub    *cloud.DockerHub
	source *corev1.Secret
}

func newHubWorld(t *testing.T, labels map[string]string) (w *hubWorld, target credential.Target) {
	t.Helper()
	base, ns := newWorld(t)
	hub, err := cloud.StartDockerHub(cloud.DockerHubOptions{})
	base.must(err)
	t.Cleanup(func() { _ = hub.Close() })
	_, err = hub.SeedImage("team/app", "v1")
	base.must(err)
	base.Tokens = broker.New(t.Context(), broker.Options{Clock: base.time, Providers: map[string]providers.Provider{static.Name: static.New(base.time)}})
	w = &hubWorld{world: base, hub: hub, source: &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: ns, Labels: labels},
		Type:       corev1.SecretTypeBasicAuth,
		Data:       newToken(hub),
	}}
	w.must(w.admin.Create(t.Context(), w.source))
	target = w.apply(ns, nil, v1alpha1.Registry{
		Name: "hub", Static: &v1alpha1.Static{Host: "docker.io"},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: ns}},
	})
	return w, target
}

// newToken ends the user's token at the Hub, and is the content of a Secret with the new one.
func newToken(hub *cloud.DockerHub) map[string][]byte {
	return map[string][]byte{
		corev1.BasicAuthUsernameKey: []byte("ci"),
		corev1.BasicAuthPasswordKey: []byte(hub.AddUser(cloud.HubUser{Name: "ci", Pull: []string{"team/*"}})),
	}
}

func (w *hubWorld) rotate() {
	w.Helper()
	w.source.Data = newToken(w.hub)
	w.must(w.admin.Update(w.Context(), w.source))
}

// pulls says whether a pod with this Secret gets its image.
func (w *hubWorld) pulls(s *corev1.Secret) bool {
	_, err := cloud.Pull(w.Context(), w.hub.Transport(), s.Data[corev1.DockerConfigJsonKey], "docker.io/team/app:v1")
	return err == nil
}

func TestAChangeOfALabelledSourceIsPublishedAtOnce(t *testing.T) {
	w, target := newHubWorld(t, map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity})
	w.start()
	before := w.await(target, w.pulls)
	w.rotate()
	if w.pulls(before) {
		t.Fatal("the old token is still good, so this test proves nothing")
	}
	// The clock stands still: nothing but the event of the change can have caused this.
	after := w.await(target, w.pulls)
	if after.UID != before.UID {
		t.Error("the Secret was replaced instead of updated")
	}
}

func TestASourceThatIsNoIdentityAnyMoreTakesNothing(t *testing.T) {
	w, target := newHubWorld(t, map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity})
	w.run(target)
	w.source.Labels = nil
	w.must(w.admin.Update(t.Context(), w.source))
	w.run(target)
	if r := w.report(target).Registries[0]; r.Reason != v1alpha1.ReasonIdentityInvalid || !w.pulls(w.secret(target)) {
		t.Errorf("reason %s: %s", r.Reason, r.Message)
	}
}

// start runs the world's controllers in a manager, with its caches and watches, until the test ends.
func (w *hubWorld) start() {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	mgr, err := ctrl.NewManager(cluster.Config, ctrl.Options{
		Scheme: w.admin.Scheme(), Cache: view.Options(nil),
		NewClient: func(cfg *rest.Config, options client.Options) (client.Client, error) {
			c, err := client.New(cfg, options)
			return client.WithFieldOwner(c, v1alpha1.FieldManager), err
		},
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	w.must(err)
	caches, err := view.New(mgr, view.Scope{})
	w.must(err)
	w.must(Setup(ctx, mgr, Options{
		View: caches, Broker: w.Tokens.(Broker), Retired: revoke.NewRetired(w.time), Clock: w.time, Metrics: prometheus.NewRegistry(), Namespace: home, Excluded: w.Excluded,
	}))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
}

// await returns the target's Secret as soon as it is as wanted.
func (w *hubWorld) await(t credential.Target, wanted func(*corev1.Secret) bool) *corev1.Secret {
	w.Helper()
	watching, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	events, err := watching.Watch(ctx, &corev1.SecretList{}, client.InNamespace(t.Namespace))
	w.must(err)
	defer events.Stop()
	for e := range events.ResultChan() {
		if s, ok := e.Object.(*corev1.Secret); ok && s.Name == t.Secret().Name && wanted(s) {
			return s
		}
	}
	w.Fatal("the Secret does not become what is wanted")
	return nil
}
