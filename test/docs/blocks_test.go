package docs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryBlockIsTrue does with each block what its mark says, page by page, each in a world without Regcred: what a page needs and does
// not show stands before its block, as <!-- setup: … -->.
func TestEveryBlockIsTrue(t *testing.T) {
	all := pages(t)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		p := all[path]
		if len(p.blocks) == 0 {
			continue
		}
		t.Run(path, func(t *testing.T) {
			used := false
			for _, b := range p.blocks {
				check, err := b.check()
				if err != nil {
					continue // TestEveryBlockIsMarked says so
				}
				used = used || len(b.setup) > 0 || slices.Contains([]string{"run", "expect"}, check)
				if err := theWorld.try(t.Context(), b, check); err != nil {
					t.Errorf("%s: %v\nin:\n%s", p.at(b), err, b.code)
				}
			}
			if used {
				theWorld.clean(t)
			}
		})
	}
}

func (w *world) try(ctx context.Context, b block, check string) error {
	for _, script := range b.setup {
		if out, err := w.shell(ctx, prelude+script, ""); err != nil {
			return fmt.Errorf("before it, %s: %w\n%s", script, err, out)
		}
	}
	code := b.filledIn()
	if file, ok := b.marks["file"]; ok {
		if err := os.WriteFile(filepath.Join(w.dir, filepath.Base(file)), []byte(code), 0o600); err != nil {
			return err
		}
	}
	switch check {
	case "run":
		if b.language == "yaml" {
			return w.dryRun(ctx, code)
		}
		if out, err := w.shell(ctx, code, ""); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	case "expect":
		return w.expect(ctx, code)
	case "from":
		return isPartOf(filepath.Join(w.Root, b.marks["from"]), code)
	case "recorded":
		return inRecord(code)
	case "invalid":
		err := w.dryRun(ctx, code)
		if err == nil {
			return errors.New("the API server takes it")
		}
		if !strings.Contains(err.Error(), b.marks["invalid"]) {
			return fmt.Errorf("want the API server to say %q, got: %w", b.marks["invalid"], err)
		}
		return nil
	case "values":
		return w.install(ctx, code)
	case "part":
		return w.tryPart(ctx, b.marks["part"], code)
	case "parse":
		return parsers[b.language](ctx, code)
	}
	return nil
}

func isPartOf(file, code string) error {
	raw, err := os.ReadFile(file)
	if command, output, ok := strings.Cut(code, "\n"); ok && strings.HasPrefix(command, "$ ") {
		code = output
	}
	if err == nil && !strings.Contains(string(raw), code) {
		err = fmt.Errorf("%s has no such part", file)
	}
	return err
}

// prelude has words for what is said before blocks.
const prelude = `
install() {
  helm install regcred charts/regcred --namespace regcred-system --create-namespace "$@" >/dev/null
  kubectl wait --for=condition=Established crd/registrycredentials.regcred.dev crd/clusterregistrycredentials.regcred.dev >/dev/null
}
# Both kinds under one name: the cluster's in the namespace web, the other in team-a.
serve() {
  kubectl create namespace web
  kubectl label namespace web regcred.dev/pull=true
  kubectl apply -f config/samples/clusterregistrycredential.yaml
  sed 's/team-a-images/registry-pull/' config/samples/registrycredential.yaml | kubectl apply -f -
  kubectl wait --for=create --timeout=60s secret/registry-pull -n web
  kubectl wait --for=create --timeout=60s secret/registry-pull -n team-a
}
ready() { kubectl wait --for=condition=Ready --timeout=60s "$@" >/dev/null; }
`

// filledIn is the code with <name> replaced as the mark with="name=value other=value" says.
func (b block) filledIn() string {
	code := b.code
	for pair := range strings.FieldsSeq(b.marks["with"]) {
		name, value, _ := strings.Cut(pair, "=")
		code = strings.ReplaceAll(code, "<"+name+">", value)
	}
	return code
}

// expect runs the commands after "$ " and compares what each prints with what follows it.
func (w *world) expect(ctx context.Context, code string) error {
	for _, part := range strings.Split("\n"+code, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		out, err := w.shell(ctx, command, "")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(withoutTheDay(want), withoutTheDay(out)); diff != "" {
			return fmt.Errorf("%s: written (-), printed (+):\n%s", command, diff)
		}
	}
	return nil
}

var ofTheDay = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "<time>"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "<uid>"},
	{regexp.MustCompile(`\bv\d+\.\d+\.\d+[-+.0-9a-z]*`), "<version>"},
	{regexp.MustCompile(`\b(\d+[dhms]){1,3}\b`), "<duration>"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// withoutTheDay replaces by name what differs from day to day, and the width of columns with it.
func withoutTheDay(text string) []string {
	for _, d := range ofTheDay {
		text = d.what.ReplaceAllString(text, d.name)
	}
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func TestWithoutTheDay(t *testing.T) {
	got := withoutTheDay("NAME   AGE   EXPIRES\nprod   3d4h  2026-01-02T15:04:05Z  v1.37.2\n")
	if want := []string{"NAME AGE EXPIRES", "prod <duration> <time> <version>"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
