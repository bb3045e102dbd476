package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/regcred/regcred/test/controlplane/assets"
)

// Kubeconfig is the path of the administrator's kubeconfig. It lives until Stop.
func (cp *ControlPlane) Kubeconfig() string { return cp.kubeconfig }

// AddUser makes a client certificate for a user with no more rights than RBAC gives to its name and groups. It returns the
// user's configuration, without a client-side rate limit, and the path of its kubeconfig, which lives until Stop.
func (cp *ControlPlane) AddUser(name string, groups []string) (*rest.Config, string, error) {
	user, err := cp.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, "", fmt.Errorf("adding user %s: %w", name, err)
	}
	content, err := user.KubeConfig()
	if err != nil {
		return nil, "", fmt.Errorf("adding user %s: %w", name, err)
	}
	path := filepath.Join(cp.dir, "user-"+strings.ReplaceAll(name, "/", "_")+".kubeconfig")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return nil, "", err
	}
	return withoutRateLimit(user.Config()), path, nil
}

// Kubectl runs kubectl as the administrator and returns what it prints on stdout; stderr goes into the error.
func (cp *ControlPlane) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(cp.binaries, assets.Kubectl), append([]string{
		"--kubeconfig=" + cp.kubeconfig, "--cache-dir=" + filepath.Join(cp.dir, "kubectl"),
	}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECTL_KUBERC=false") // the user's own defaults must not change a test
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}
