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
	"slices"
	"strings"

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
	// Also are further tests that fail without it: an abuse of test/tenants, on the product as a whole.
	Also *Tests `json:"also"`
}

// Tests are those that fail without a guard.
type Tests struct {
	// Caught is their package, and Run the pattern of their names.
	Caught string `json:"caught"`
	Run    string `json:"run"`
	// Flag is one that the package's tests know.
	Flag string `json:"flag"`
}

// Noticing are the packages whose tests notice.
func (g Guard) Noticing() string {
	if g.Also == nil {
		return g.Caught
	}
	return g.Caught + " and " + g.Also.Caught
}

// all are the guard's own tests, and the further ones.
func (g Guard) all() []Tests {
	if g.Also == nil {
		return []Tests{g.Tests}
	}
	return []Tests{g.Tests, *g.Also}
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
	// sound is what came of a package's tests with every guard in its place.
	sound map[string]error
}

// Sound runs the tests of all the guards with every guard in its place, each package's at once: what fails anyway proves nothing.
func (r *Runner) Sound(ctx context.Context, all []Guard) {
	together := map[string]Tests{}
	for _, g := range all {
		for _, tests := range g.all() {
			if known, more := together[tests.Caught]; more {
				tests.Run = known.Run + "|" + tests.Run
			}
			together[tests.Caught] = tests
		}
	}
	r.sound = map[string]error{}
	for dir, tests := range together {
		out, err := r.test(ctx, tests, nil)
		r.sound[dir] = sound(out, err)
	}
}

// Missed is an error if one of its tests does not tell the guard's absence from its presence: it passes without it, fails with it, or does not run.
func (r *Runner) Missed(ctx context.Context, g Guard) error {
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
	for _, tests := range g.all() {
		if err := r.sound[tests.Caught]; err != nil {
			return err
		}
		// In the environment it holds for what the tests build, too. They are other programs then, of which a result in the cache knows nothing.
		out, err := r.test(ctx, tests, []string{"GOFLAGS=" + strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay)}, "-count=1")
		if err := noticed(out, err); err != nil {
			return fmt.Errorf("%s: %w", tests.Caught, err)
		}
	}
	return nil
}

// test runs tests as they are built the fastest.
func (r *Runner) test(ctx context.Context, tests Tests, env []string, flags ...string) ([]byte, error) {
	args := slices.Concat([]string{"test", "-run", tests.Run, "-timeout=10m", "-vet=off", "-ldflags=-s -w"}, flags, []string{"./" + tests.Caught})
	if tests.Flag != "" {
		args = append(args, tests.Flag)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = r.Root, append(os.Environ(), env...)
	return cmd.CombinedOutput()
}
