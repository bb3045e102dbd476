package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/command"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/test/controlplane"
)

var (
	cp     *controlplane.ControlPlane
	admin  client.Client
	update = flag.Bool("update", false, "write the golden files anew")

	// built is where the plugin is built, once some test wants it as a process.
	built string
	build sync.Once
)

// now is what the clock of the commands shows.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kubectl-regcred-")
	if err != nil {
		panic(err)
	}
	built = filepath.Join(dir, "kubectl-regcred")
	if err := foreignKinds(filepath.Join(dir, "crds")); err != nil {
		panic(err)
	}
	code := controlplane.RunTests(m, controlplane.Options{
		CRDDirectories: []string{filepath.Join("..", "..", "config", "crd"), filepath.Join(dir, "crds")}, AuditLog: filepath.Join(dir, "audit.log"),
	}, func(started *controlplane.ControlPlane) {
		cp = started
		if admin, err = client.New(cp.Config, client.Options{Scheme: cluster.Scheme(), FieldOwner: "kubectl-create"}); err != nil {
			panic(err)
		}
		for _, name := range []string{"team-a", "team-b", "audit-a", "audit-b"} {
			if err := admin.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
				panic(err)
			}
		}
	})
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// standing is a clock that shows the same time for ever, and waits as others do.
type standing struct{ clock.RealClock }

func (standing) Now() time.Time { return now }

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// as runs the plugin with a kubeconfig.
func as(t *testing.T, kubeconfig string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := start(t.Context(), genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &stdout, ErrOut: &stderr}, kubeconfig, args...)
	return result{stdout.String(), stderr.String(), code}
}

// start runs the plugin with streams, until it or ctx ends.
func start(ctx context.Context, streams genericiooptions.IOStreams, kubeconfig string, args ...string) int {
	e := cli.New("v0.0.0-test")
	e.IOStreams = streams
	e.Clock = standing{clock.RealClock{}}
	e.Getenv = func(string) string { return "" }
	return command.Run(ctx, e, append([]string{"--kubeconfig=" + kubeconfig, "-v=0"}, args...))
}

// binary is the plugin as it is built for users.
func binary(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", built, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	return built
}

// run runs the plugin as the administrator.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return as(t, cp.Kubeconfig(), "", args...)
}

// golden compares what was printed with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update writes it):\n%s", path, diff)
	}
	if ext := filepath.Ext(name); ext != ".txt" && ext != ".sh" || strings.HasSuffix(name, "-wide.txt") {
		return
	}
	for i, line := range strings.Split(got, "\n") {
		if len(line) > output.Width && !whole.MatchString(line) {
			t.Errorf("%s: line %d has %d columns: %s", path, i+1, len(line), line)
		}
	}
}

// whole are lines that stay whole, so that they can be copied: commands, and single words, with their key if they have one.
var whole = regexp.MustCompile(`^(# )?(kubectl|helm|aws|az|gcloud|curl) |^\s*(\S+: )?\S+$`)

func seedStatus(t *testing.T) {
	t.Helper()
	seed(t, "status.yaml")
}

// seed creates the objects of a file of testdata, with their status, and removes them in the end.
func seed(t *testing.T, name string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		o, err := cluster.Scheme().New(kind.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(document), o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		create(t, o.(client.Object))
	}
}

// create creates an object and its status, and removes it in the end.
func create(t *testing.T, o client.Object) {
	t.Helper()
	wanted := o.DeepCopyObject().(client.Object)
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, o) })
	wanted.SetResourceVersion(o.GetResourceVersion())
	wanted.SetUID(o.GetUID())
	switch wanted.(type) {
	case *v1alpha1.RegistryCredential, *v1alpha1.ClusterRegistryCredential, *corev1.Pod, *appsv1.Deployment:
		if err := admin.Status().Update(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	// Else a Job waits for somebody to give its pods up.
	background := client.PropagationPolicy(metav1.DeletePropagationBackground)
	if err := client.IgnoreNotFound(admin.Delete(context.Background(), o, client.GracePeriodSeconds(0), background)); err != nil {
		t.Error(err)
	}
}

// grant gives a user rights in a namespace or, without one, in all.
func grant(t *testing.T, namespace, user string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: user}
	if namespace == "" {
		create(t, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules})
		create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: user}})
		return
	}
	create(t, &rbacv1.Role{ObjectMeta: meta, Rules: rules})
	create(t, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: user}})
}

// evils are what somebody might put into a field so that it is executed in the shell of whoever runs a script with it.
var evils = []string{
	"$(touch touched)", "`touch touched`", "'; touch touched; '", "${file(\"passwd\")}", "\x1b[31m", "%{if true}", "\"}\n---\nkind: Evil\n",
	"a\x1b'; touch touched #", "a\x1b\\'; touch touched #", "\u202e'; touch touched; '\ntouch touched\n$(touch touched)`touch touched`\x1b\"\u2028#",
}

// inert runs a script by the shells that people have, with its programs defined away: what is left to run is what its values bring.
func inert(t *testing.T, script string) {
	t.Helper()
	for _, r := range script {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Errorf("it holds %q: %q", r, script)
			break
		}
	}
	for _, program := range []string{"aws", "gcloud", "az", "kubectl", "curl", "helm"} {
		script = program + "() { :; }\n" + script
	}
	for _, shell := range []string{"sh", "bash"} {
		cmd := exec.CommandContext(t.Context(), shell, "-c", script)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s\n%s", shell, err, out, script)
		}
		if _, err := os.Stat(filepath.Join(cmd.Dir, "touched")); err == nil {
			t.Errorf("%s has run a value:\n%s", shell, script)
		}
	}
}
