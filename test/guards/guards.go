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

	"sigs.k8s.io/yaml"
)

//go:embed guards.yaml
var list []byte

// Guard is one line of the product that stands between a fault, or a tenant, and everybody else.
type Guard struct {
	// Name says what it guards.
	Name string `json:"name"`
	// Against are the abuses of test/tenants that it stands against.
	Against []string `json:"against"`
	// In is its file, Take what of the file goes, and Leave what stays in its place.
	In    string `json:"in"`
	Take  string `json:"take"`
	Leave string `json:"leave"`
	Tests
}

// Tests are those that fail without a guard.
type Tests struct {
	// Caught is their package, and Run the pattern of their names.
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

// Runner runs tests of the module at its root.
type Runner struct {
	Root string
	// sound is what came of tests with every guard in its place.
	sound map[Tests]error
}

// Missed is an error if the tests do not tell the guard's absence from its presence: they pass without it, fail with it, or do not run.
func (r *Runner) Missed(ctx context.Context, g Guard) error {
	if err := r.passes(ctx, g.Tests); err != nil {
		return err
	}
	source, err := g.without(r.Root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "regcred-guard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(r.Root, g.In): mutated}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(mutated, source, 0o600), os.WriteFile(overlay, replaced, 0o600)); err != nil {
		return err
	}
	out, err := r.test(ctx, g.Tests, "-overlay="+overlay)
	return noticed(out, err)
}

// passes runs the tests once with every guard in its place.
func (r *Runner) passes(ctx context.Context, tests Tests) error {
	if err, known := r.sound[tests]; known {
		return err
	}
	out, err := r.test(ctx, tests)
	err = sound(out, err)
	if r.sound == nil {
		r.sound = map[Tests]error{}
	}
	r.sound[tests] = err
	return err
}

func (r *Runner) test(ctx context.Context, tests Tests, flags ...string) ([]byte, error) {
	args := append([]string{"test", "-run", tests.Run, "-timeout=5m"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+tests.Caught)...)
	cmd.Dir = r.Root
	return cmd.CombinedOutput()
}
