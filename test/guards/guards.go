// Package guards takes away one guard of the product after the other, and sees to it that a test notices: a guard that can go without a
// test that fails is not guarded itself.
package guards

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed guards.yaml
var list []byte

// Guard is one line of the product that stands between a fault, or a tenant, and everybody else.
type Guard struct {
	// Name says what it guards.
	Name string `json:"name"`
	// In is its file, Take what of the file goes, and Leave what stays in its place.
	In    string `json:"in"`
	Take  string `json:"take"`
	Leave string `json:"leave"`
	// Caught is the package, and Run the pattern of the tests, that fail without it.
	Caught string `json:"caught"`
	Run    string `json:"run"`
}

// All are those of guards.yaml.
func All() ([]Guard, error) {
	var all []Guard
	err := yaml.UnmarshalStrict(list, &all)
	return all, err
}

// without is the file without the guard.
func (g Guard) without(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, g.In))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(source, []byte(g.Take)); n != 1 {
		return nil, fmt.Errorf("%s: %q is there %d times, want once", g.In, g.Take, n)
	}
	return bytes.Replace(source, []byte(g.Take), []byte(g.Leave), 1), nil
}

// Missed runs the tests without the guard, and is an error if they pass, or do not even build.
func (g Guard) Missed(ctx context.Context, root string) error {
	source, err := g.without(root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "regcred-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, g.In): mutated}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(mutated, source, 0o600), os.WriteFile(overlay, replaced, 0o600)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay="+overlay, "-run", g.Run, "-timeout=5m", "./"+g.Caught)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return errors.New("nothing noticed")
	case strings.Contains(string(out), "--- FAIL"), strings.Contains(string(out), "panic:"):
		return nil
	default:
		return fmt.Errorf("the tests did not run: %w: %s", err, bytes.TrimSpace(out))
	}
}
