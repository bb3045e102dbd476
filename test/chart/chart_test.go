// Package chart proves on a real API server that the Helm chart installs what it promises, that what it installs works with exactly the
// rights that it gives, and that nothing is stuck when it goes.
package chart

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// patience bounds a failing test; no passing one waits for it.
const patience = 60 * time.Second

var createOptions = metav1.CreateOptions{}

var (
	world *lab.Lab
	// scratch is a directory of ours.
	scratch string
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // tests wait for the controller, not for a processor
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "regcred-chart-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		scratch = dir
		world, err = lab.StartEmpty(ctx, controlplane.Options{
			ControllerManager: true, MoreControllers: []string{"clusterrole-aggregation-controller", "job-controller"}, AuditLog: dir + "/audit.log",
		}, cloud.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := world.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := world.Helm(t.Context(), args...)
	must(t, err)
	return out
}

// kubectl runs it as the administrator, with an input.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	if stdin != "" {
		file := filepath.Join(t.TempDir(), "stdin.yaml")
		must(t, os.WriteFile(file, []byte(stdin), 0o600))
		args = append(args, "-f", file)
	}
	out, err := world.Kubectl(t.Context(), args...)
	must(t, err)
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the world is as it should be; why says what is missing.
func eventually(t *testing.T, what string, done func() (bool, error)) {
	t.Helper()
	ctx, cancel := world.Within(t.Context(), patience)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 25*time.Millisecond, true, func(context.Context) (bool, error) { return done() })
	if err != nil {
		t.Fatalf("waited in vain for %s: %v (%v)", what, err, context.Cause(ctx))
	}
}

func namespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	must(t, client.IgnoreAlreadyExists(world.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})))
	eventually(t, "the default ServiceAccount of "+name, func() (bool, error) {
		err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, client.IgnoreNotFound(err)
	})
}

// install installs the chart as a release regcred, until the test ends.
func install(t *testing.T, namespace string, args ...string) {
	t.Helper()
	mustHelm(t, append([]string{"install", "regcred", "charts/regcred", "--namespace", namespace, "--create-namespace"}, args...)...)
	uninstallAfter(t, "regcred", namespace)
}

// uninstallAfter leaves out the hook, which needs a kubelet: see uninstall_test.go.
func uninstallAfter(t *testing.T, release, namespace string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := world.Helm(context.Background(), "uninstall", release, "--namespace", namespace, "--ignore-not-found", "--no-hooks"); err != nil {
			t.Error(err)
		}
	})
}

// start runs bin/regcred as the Deployment of the release says: with its arguments, and the rights of its ServiceAccount.
func start(t *testing.T, namespace string) *lab.Controller {
	t.Helper()
	c, err := world.StartDeployed(t.Context(), namespace, logOf(t))
	must(t, err)
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// logOf is for what a process says. It is shown after what has failed, which long logs would hide.
func logOf(t *testing.T) io.Writer {
	t.Helper()
	log := &bytes.Buffer{}
	t.Cleanup(func() {
		if t.Failed() {
			_, _ = log.WriteTo(t.Output())
		}
	})
	return log
}
