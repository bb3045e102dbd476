package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// kubectlRegcred runs the plugin of kubectl as the administrator, who reaches the registries that the node reaches, and reads what it
// prints. It ends with 0, or with 1 or 3 where it has found something or cannot decide.
func (e *e2e) kubectlRegcred(ctx context.Context, answer any, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(e.lab.Root, "bin", "kubectl-regcred"),
		append([]string{"--kubeconfig=" + e.lab.Kubeconfig(), "--output=json"}, args...)...)
	cmd.Env = append(os.Environ(), e.lab.Internet.Env()...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 3) {
		return fmt.Errorf("kubectl regcred %q: %w: %s", args, err, lastLine(stderr.Bytes()))
	}
	if err := json.Unmarshal(out, answer); err != nil {
		return fmt.Errorf("kubectl regcred %q: %w: %s", args, err, lastLine(stderr.Bytes()))
	}
	return nil
}
