// Package chart proves on a real API server that the Helm chart installs what it promises, that what it installs works with exactly the
// rights that it gives, and that nothing is stuck when it goes.
package chart

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
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
	// helmPath is the helm of tools/go.mod.
	helmPath, helmHome string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "regcred-chart-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		helmHome = filepath.Join(dir, "helm")
		world, err = lab.StartEmpty(ctx, controlplane.Options{ControllerManager: true, AuditLog: dir + "/audit.log"}, cloud.Options{})
	}
	if err == nil {
		defer func() {
			if err := world.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
		helmPath, err = toolPath(ctx, "helm")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// toolPath builds a tool of tools/go.mod, if it is not in Go's cache yet, and says where it is.
func toolPath(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "-n", name)
	cmd.Dir, cmd.Stderr = world.Root, os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// helm runs it as the administrator.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), helmPath, args...)
	cmd.Dir = world.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+world.Kubeconfig(), "HELM_CACHE_HOME="+helmHome+"/cache", "HELM_CONFIG_HOME="+helmHome+"/config", "HELM_DATA_HOME="+helmHome+"/data")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	defer func() { t.Logf("helm %s took %s", args[0], time.Since(began).Round(time.Millisecond)) }()
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, args...)
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
	began := time.Now()
	out, err := world.Kubectl(t.Context(), args...)
	t.Logf("kubectl %s took %s", strings.Join(args[:2], " "), time.Since(began).Round(time.Millisecond))
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
	err := wait.PollUntilContextTimeout(t.Context(), 25*time.Millisecond, patience, true, func(context.Context) (bool, error) { return done() })
	if err != nil {
		t.Fatalf("waited in vain for %s: %v", what, err)
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
	t.Cleanup(func() {
		cmd := exec.Command(helmPath, "uninstall", "regcred", "--namespace", namespace, "--ignore-not-found") //nolint:noctx // the test's context is gone
		cmd.Env = append(os.Environ(), "KUBECONFIG="+world.Kubeconfig())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("helm uninstall: %v: %s", err, out)
		}
	})
}

// start runs bin/regcred as the Deployment of the release says: with its arguments, and the rights of its ServiceAccount.
func start(t *testing.T, namespace string, log io.Writer) *lab.Controller {
	t.Helper()
	deployment := &appsv1.Deployment{}
	must(t, world.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "regcred"}, deployment))
	pod := deployment.Spec.Template.Spec
	// The addresses are this machine's business.
	args := slices.DeleteFunc(slices.Clone(pod.Containers[0].Args), func(arg string) bool { return strings.Contains(arg, "-bind-address=") })
	c, err := world.StartControllerAs(t.Context(), namespace, pod.ServiceAccountName, log, args...)
	must(t, err)
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}
