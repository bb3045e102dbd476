// Package plugins provides credential provider plugins that others have written, to test against.
package plugins

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ECR is the kubelet's plugin for Amazon ECR, of k8s.io/cloud-provider-aws.
const ECR = "ecr-credential-provider"

// Path makes the plugin and returns where its executable is. It stays in Go's build cache: the first time takes a minute, later ones
// nothing. Its version is in binaries/go.mod.
func Path(ctx context.Context, name string) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the checkout of Regcred: %w", err)
	}
	// -n makes the tool and prints its path, instead of executing it.
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", name)
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "test", "plugins", "binaries")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s: %w: %s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
