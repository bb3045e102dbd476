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

// Install makes the plugin and puts it into dir, by its own name, or by another if as is not empty. What is made stays in Go's build
// cache: the first time takes a minute, the next none. Its version is in binaries/go.mod.
func Install(ctx context.Context, dir, name, as string) error {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("finding the checkout of Regcred: %w", err)
	}
	// -n prints the path of the tool, and makes it, but does not run it.
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", name)
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "test", "plugins", "binaries")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("building %s: %w: %s", name, err, stderr.String())
	}
	if as == "" {
		as = name
	}
	return os.Symlink(strings.TrimSpace(string(out)), filepath.Join(dir, as))
}
