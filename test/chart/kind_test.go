package chart

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standIn writes down how it was called, and makes the file that it was to save.
const standIn = `#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$1 $2" in
"get clusters") echo kind ;;
"save --output") echo "an image" >"$3" ;;
esac
`

// TestMakeKindInstallsWhatIsHere: the script is the real one, and so are helm, kubectl and the API server. The programs that need a
// container engine are stand-ins: against those of others it is unproven.
func TestMakeKindInstallsWhatIsHere(t *testing.T) {
	tool := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "-n", "helm")
	tool.Dir = world.Root
	path, err := tool.Output()
	must(t, err)
	helm := strings.TrimSpace(string(path))
	for name, c := range map[string]struct {
		programs, env []string
		image         string
		calls         string
	}{
		"kind and docker": {
			programs: []string{"kind", "docker"}, image: "regcred.local/regcred:try",
			calls: "kind get clusters\ndocker build --tag regcred.local/regcred:try bin/image\n" +
				"docker save --output bin/image/regcred.tar regcred.local/regcred:try\nkind load image-archive --name kind bin/image/regcred.tar\n",
		},
		"kind and ko": {
			programs: []string{"kind", "ko"}, image: "regcred.local/regcred:try",
			calls: "kind get clusters\nko build --bare --platform=linux/",
		},
		"a cluster of kubeconfig": {
			programs: []string{"ko"}, env: []string{"CONTEXT=kind-kind", "IMAGE=registry.example/regcred"}, image: "registry.example/regcred:try",
			calls: "ko build --bare --platform=linux/amd64,linux/arm64 --tags=try",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			calls := filepath.Join(dir, "calls")
			for _, program := range c.programs {
				must(t, os.WriteFile(filepath.Join(dir, program), []byte(standIn), 0o700))
			}
			addPrograms(t, dir)
			script := exec.CommandContext(t.Context(), filepath.Join(world.Root, "test", "kind"))
			script.Env = append(os.Environ(), "PATH="+dir, "CALLS="+calls, "KUBECONFIG="+kindConfig(t), "HELM="+helm)
			script.Env = append(script.Env, c.env...)
			uninstallAfter(t, "regcred", "regcred-system")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ran := make(chan error, 1)
			go func() { ran <- rollOut(ctx) }()
			out, err := script.CombinedOutput()
			stop()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			must(t, <-ran)
			called, err := os.ReadFile(calls)
			must(t, err)
			if !strings.HasPrefix(string(called), c.calls) {
				t.Errorf("called:\n%swant:\n%s", called, c.calls)
			}
			deployment := &appsv1.Deployment{}
			must(t, world.Client.Get(t.Context(), client.ObjectKey{Namespace: "regcred-system", Name: "regcred"}, deployment))
			if got := deployment.Spec.Template.Spec.Containers[0].Image; got != c.image {
				t.Errorf("the image is %s, want %s", got, c.image)
			}
			kubectl(t, "", "delete", "cregcred/registry-pull", "namespace/regcred-try", "--timeout=2m") // the next makes it anew
		})
	}
}

// addPrograms puts beside the stand-ins what every machine has, kubectl and go; a container engine of this machine is none of them.
func addPrograms(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Symlink(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), filepath.Join(dir, "kubectl")))
	for _, program := range []string{"bash", "sh", "env", "dirname", "basename", "sed", "grep", "mkdir", "git", "go"} {
		path, err := exec.LookPath(program)
		must(t, err)
		must(t, os.Symlink(path, filepath.Join(dir, program)))
	}
}

// kindConfig is the administrator's kubeconfig with the context that kind would have written.
func kindConfig(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(world.Kubeconfig())
	must(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(path, raw, 0o600))
	current := strings.TrimSpace(kubectl(t, "", "--kubeconfig="+path, "config", "current-context"))
	kubectl(t, "", "--kubeconfig="+path, "config", "rename-context", current, "kind-kind")
	return path
}

// rollOut does what a node and the controller of Deployments would, for which helm waits.
func rollOut(ctx context.Context) error {
	w, err := world.Client.Watch(ctx, &appsv1.DeploymentList{}, client.InNamespace("regcred-system"))
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		d, ok := event.Object.(*appsv1.Deployment)
		if !ok || d.Status.ObservedGeneration == d.Generation {
			continue
		}
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		}
		if err := world.Client.Status().Update(ctx, d); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
