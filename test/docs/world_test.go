package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/controlplane/assets"
	"github.com/regcred/regcred/test/lab"
)

// patience bounds what a page may take.
const patience = 2 * time.Minute

// theWorld is what pages run in, one after the other.
var theWorld *world

type world struct {
	*lab.Lab
	dir        string // HOME of what is run, with the programs in bin
	env        []string
	controller *lab.Controller
	log        bytes.Buffer
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // with what is built first
	defer cancel()
	w, err := newWorld(ctx)
	if err == nil {
		theWorld = w
		code = m.Run()
	}
	if err = errors.Join(err, w.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func newWorld(ctx context.Context) (*world, error) {
	w := &world{}
	var err error
	if w.dir, err = os.MkdirTemp("", "regcred-docs-"); err != nil {
		return w, err
	}
	w.Lab, err = lab.StartEmpty(ctx, controlplane.Options{
		ControllerManager: true, MoreControllers: []string{"clusterrole-aggregation-controller", "job-controller"},
	}, cloud.Options{})
	if err != nil {
		return w, err
	}
	if err := errors.Join(w.addPrograms(ctx), w.seed(ctx), w.addKinds(ctx)); err != nil {
		return w, err
	}
	go w.kubelet(context.Background())
	return w, nil
}

func (w *world) stop() error {
	var err error
	if w.Lab != nil {
		err = w.Stop()
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// addPrograms puts what pages may call beside what every machine has.
func (w *world) addPrograms(ctx context.Context) error {
	bin := filepath.Join(w.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return err
	}
	kubernetes, err := assets.Find(ctx, assets.Kubectl)
	if err != nil {
		return err
	}
	programs := map[string]string{"kubectl": filepath.Join(kubernetes, assets.Kubectl), "regcred": w.Binary, "kubectl-regcred": filepath.Join(w.Root, "bin", "kubectl-regcred")}
	if programs["helm"], err = tool(ctx, "tools/go.mod", "helm"); err != nil {
		return err
	}
	for name, path := range programs {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	// The cloud's own command line, as far as a page takes its answer.
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte("#!/bin/sh\necho token\n"), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{"charts", "config", "docs"} {
		if err := os.Symlink(filepath.Join(w.Root, dir), filepath.Join(w.dir, dir)); err != nil {
			return err
		}
	}
	config := filepath.Join(w.dir, ".kube", "config")
	if err := errors.Join(os.Mkdir(filepath.Dir(config), 0o700), os.Symlink(w.Kubeconfig(), config)); err != nil {
		return err
	}
	w.env = []string{
		"HOME=" + w.dir, "KUBECONFIG=" + config, "PATH=" + bin + ":/usr/bin:/bin", "KUBECTL_KUBERC=false", "TERM=dumb",
	}
	return nil
}

// tool builds a tool of a module, if it is not in Go's cache yet, and says where it is.
func tool(ctx context.Context, modFile, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile="+modFile, "-n", name)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s: %w: %s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// shell runs a script as a reader would who has an empty home, and in it the checkout's charts, config and docs.
func (w *world) shell(ctx context.Context, script, stdin string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.WaitDelay = w.dir, w.env, strings.NewReader(stdin), time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), w.followDeployment(ctx)
}

// followDeployment does with the release's Deployment what a kubelet would: its container runs as long as it is there.
func (w *world) followDeployment(ctx context.Context) error {
	_, err := w.Kubectl(ctx, "get", "deployment", "-n", lab.Namespace, "regcred")
	switch there := err == nil; {
	case there && w.controller == nil:
		w.controller, err = w.StartDeployed(ctx, lab.Namespace, &w.log)
		return err
	case !there && w.controller != nil:
		err := w.controller.Stop()
		w.controller = nil
		return err
	}
	return nil
}

// cleaning is what leaves the world as a page finds it.
const cleaning = `for kind in regcred cregcred; do kubectl delete "$kind" -A --all --ignore-not-found 2>/dev/null || true; done
for release in regcred regcred-crds; do helm uninstall --namespace regcred-system --no-hooks "$release" >/dev/null 2>&1 || true; done
kubectl delete crd registrycredentials.regcred.dev clusterregistrycredentials.regcred.dev --ignore-not-found
kubectl delete secret,deployment,pod,rolebinding -n default --all --grace-period=0 --force
kubectl patch serviceaccount default --namespace=default --type=merge -p '{"imagePullSecrets":null,"metadata":{"annotations":null,"labels":null}}'
kubectl label namespace default regcred.dev/pull-
others() { kubectl get namespaces -o name | grep -vE '/(default|kube-.*)$' || true; }
others | xargs -r kubectl delete --wait=false
for _ in $(seq 100); do
  [[ $(others) ]] || exit 0
  sleep 0.2
done
others
exit 1`

func (w *world) clean(t *testing.T) {
	t.Helper()
	if out, err := w.shell(context.WithoutCancel(t.Context()), cleaning, ""); err != nil {
		t.Fatalf("cleaning up: %v\n%s", err, out)
	}
}
