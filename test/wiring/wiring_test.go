// Package wiring proves that the binary notices what it should: every test is an event in a real cluster and a change of the world
// that follows from it.
package wiring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
)

// patience is how long a change may take; it bounds a failing test, and no passing one waits for it.
const patience = 30 * time.Second

var (
	world      *lab.Lab
	controller *lab.Controller
	logged     syncBuffer
	witness    *observer
	recorder   *history.Recorder
	// pluginCloud is the plugins' own, so that what is done to it concerns nobody else.
	pluginCloud *cloud.AWS
	flags       = []string{"--zap-log-level=10", "--allow-ambient-identity"}
)

type controlplaneRequest = controlplane.AuditRequest

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start, nothingShown, wellDone)) }

// nothingShown looks for credentials in whatever the tests have made the controller say.
func nothingShown(ctx context.Context) error {
	leaks, err := leaked(ctx)
	if len(leaks) > 0 {
		err = errors.Join(err, fmt.Errorf("after all tests, credentials are shown by: %v", leaks))
	}
	return err
}

// wellDone looks at what all tests together have made happen.
func wellDone(context.Context) error {
	broken, err := recorder.Check()
	for _, sentence := range broken {
		err = errors.Join(err, fmt.Errorf("history: %s", sentence))
	}
	return err
}

func start(ctx context.Context, s *lab.Suite) error {
	dir, err := s.Dir()
	if err != nil {
		return err
	}
	if pluginCloud, err = cloud.StartAWS(cloud.Options{}); err != nil {
		return err
	}
	s.Stops(pluginCloud.Close)
	pluginFlags, err := installPlugins(ctx, dir)
	if err != nil {
		return err
	}
	flags = append(flags, pluginFlags...)
	world, err = lab.Start(ctx, controlplane.Options{ControllerManager: true, AuditLog: dir + "/audit.log"}, cloud.Options{})
	if err != nil {
		return err
	}
	s.Stops(world.Stop)
	if err := world.PublishKeys(ctx, pluginCloud.Internet()); err != nil {
		return err
	}
	if witness, err = observe(ctx, world.Config); err != nil {
		return err
	}
	s.Stops(witness.stop)
	if recorder, err = history.Record(ctx, world, time.Now); err != nil {
		return err
	}
	s.Stops(recorder.Stop)
	// The clouds' SDKs are made to log all they can, too.
	// The floor between mints has tests of its own; here many tokens are asked for in a minute.
	world.ControllerEnv = []string{"GOOGLE_SDK_GO_LOGGING_LEVEL=debug", "AZURE_SDK_GO_LOGGING=all", "REGCRED_LAB_FLOOR=1100ms"}
	steered, err := world.StartSteered(ctx, &lab.Clock{}, &logged, flags...)
	if err != nil {
		return err
	}
	controller = steered.Controller
	return nil
}

// syncBuffer takes the controller's log while it runs.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) Bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// until watches the object of a name until it, or its deletion, is what is waited for.
func until[T client.Object](t *testing.T, list client.ObjectList, namespace, name, what string, done func(o T, deleted bool) bool) T {
	t.Helper()
	ctx, w := watching(t, list, namespace, name)
	defer w.Stop()
	for e := range w.ResultChan() {
		if o, ok := e.Object.(T); ok && done(o, e.Type == watch.Deleted) {
			return o
		}
	}
	t.Fatalf("%s/%s: waited for %s in vain: %v", namespace, name, what, context.Cause(ctx))
	panic("unreachable")
}

// watching begins with what is there, and lasts as long as the context.
func watching(t *testing.T, list client.ObjectList, namespace, name string) (context.Context, watch.Interface) {
	t.Helper()
	ctx, cancel := world.Within(t.Context(), patience)
	t.Cleanup(cancel)
	options := []client.ListOption{client.MatchingFields{"metadata.name": name}}
	if namespace != "" {
		options = append(options, client.InNamespace(namespace))
	}
	w, err := world.Client.Watch(ctx, list, options...)
	if err != nil {
		t.Fatal(err)
	}
	return ctx, w
}

func secret(t *testing.T, namespace, name, what string, done func(*corev1.Secret) bool) *corev1.Secret {
	t.Helper()
	return until(t, &corev1.SecretList{}, namespace, name, what, func(s *corev1.Secret, deleted bool) bool { return !deleted && done(s) })
}

func anySecret(*corev1.Secret) bool { return true }

func gone(t *testing.T, o client.Object, list client.ObjectList) {
	t.Helper()
	ctx, w := watching(t, list, o.GetNamespace(), o.GetName())
	defer w.Stop()
	if err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); apierrors.IsNotFound(err) {
		return
	}
	for e := range w.ResultChan() {
		if e.Type == watch.Deleted {
			return
		}
	}
	t.Fatalf("%s/%s is still there: %v", o.GetNamespace(), o.GetName(), context.Cause(ctx))
}

func goneSecret(t *testing.T, namespace, name string) {
	t.Helper()
	gone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, &corev1.SecretList{})
}

func linked(t *testing.T, namespace, account, secret string, want bool) {
	t.Helper()
	until(t, &corev1.ServiceAccountList{}, namespace, account, fmt.Sprintf("a link: %t", want), func(sa *corev1.ServiceAccount, _ bool) bool {
		for _, ref := range sa.ImagePullSecrets {
			if ref.Name == secret {
				return want
			}
		}
		return !want
	})
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := world.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func patch(t *testing.T, o client.Object, merge string) {
	t.Helper()
	if err := world.Client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(merge))); err != nil {
		t.Fatal(err)
	}
}

func namespace(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// credential is cluster-wide and selects namespaces by team=<its name>.
func credential(name, region string) *v1alpha1.ClusterRegistryCredential {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(name)}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	return c
}

func pull(t *testing.T, s *corev1.Secret) error {
	t.Helper()
	var config struct{ Auths map[string]json.RawMessage }
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal("the content is not a docker config")
	}
	for host := range config.Auths {
		if _, err := world.AWS.SeedImage(host, "team/app", "v1"); err != nil {
			t.Fatal(err)
		}
		if _, err := cloud.Pull(t.Context(), world.AWS.Transport(), s.Data[corev1.DockerConfigJsonKey], host+"/team/app:v1"); err != nil {
			return err
		}
	}
	return nil
}

func mints() int { return world.AWS.Calls().Of(cloud.ActionGetAuthorizationToken) }
