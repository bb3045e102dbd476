package docs

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

var notInAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchor is what GitHub makes of a heading.
func (h heading) anchor() string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(h.text), ""), " ", "-")
}

var inlineCode = regexp.MustCompile("`[^`\n]*`")

var links = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	found := 0
	for _, p := range all {
		for _, link := range links.FindAllStringSubmatch(inlineCode.ReplaceAllString(p.text, ""), -1) {
			if p.path == filepath.Join("docs", "reference", "api.md") && !strings.HasPrefix(link[1], "#") {
				continue // a rule of validation, in brackets
			}
			if strings.Contains(link[1], "://") {
				continue
			}
			found++
			file, fragment, _ := strings.Cut(link[1], "#")
			target := p.path
			if file != "" {
				target = filepath.Join(filepath.Dir(p.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %s leads nowhere: %v", p.path, link[1], err)
			}
			if fragment != "" && !slices.ContainsFunc(all[target].headings, func(h heading) bool { return h.anchor() == fragment }) {
				t.Errorf("%s: %s has no heading #%s", p.path, target, fragment)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d links only", found)
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	all := pages(t)
	listed := map[string]bool{filepath.Join("docs", "README.md"): true}
	for _, link := range links.FindAllStringSubmatch(all[filepath.Join("docs", "README.md")].text, -1) {
		listed[filepath.Join("docs", link[1])] = true
	}
	for path := range all {
		if strings.HasPrefix(path, "docs"+string(filepath.Separator)) && !listed[path] {
			t.Errorf("docs/README.md, which the menu of the site is made of, does not list %s", path)
		}
	}
}

func TestEveryReasonHasAHeading(t *testing.T) {
	constants := stringConstants(t, "api/v1alpha1/conditions.go")
	maps.Copy(constants, stringConstants(t, "api/v1alpha1/labels.go"))
	if len(constants) < 39 {
		t.Fatalf("found %d constants only", len(constants))
	}
	all := pages(t)
	var text strings.Builder
	for _, p := range all {
		text.WriteString(p.everything())
	}
	documented := sections(all["docs/registrycredential.md"], "Ready")
	documented["Ready"], documented["Stalled"] = true, true
	known := map[string]bool{}
	for name, value := range constants {
		switch {
		case strings.HasPrefix(name, "Reason"), strings.HasPrefix(name, "Condition"):
			known[value] = true
		case !strings.Contains(text.String(), value):
			t.Errorf("no page speaks of %s (%s)", value, name)
		}
	}
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("conditions and reasons in the code (-) and headings of docs/registrycredential.md (+):\n%s", diff)
	}
}

// sections are the headings one level below the heading.
func sections(p page, above string) map[string]bool {
	found := map[string]bool{}
	level := 0
	for _, h := range p.headings {
		switch {
		case h.text == above:
			level = h.level
		case level > 0 && h.level <= level:
			return found
		case level > 0 && h.level == level+1:
			found[h.text] = true
		}
	}
	return found
}

func TestEveryFlagIsInTheTable(t *testing.T) {
	flags := map[string]bool{}
	ours, err := filepath.Glob(filepath.Join(root, "cmd", "regcred", "*.go"))
	if err != nil || len(ours) == 0 {
		t.Fatalf("no source of the command: %v", err)
	}
	for _, path := range ours {
		ast.Inspect(source(t, path), func(n ast.Node) bool {
			if name, ok := flagOf(n); ok {
				flags[name] = true
			}
			return true
		})
	}
	if len(flags) < 7 {
		t.Fatalf("found %d flags only", len(flags))
	}
	libraries := flag.NewFlagSet("", flag.ContinueOnError)
	config.RegisterFlags(libraries)
	(&zap.Options{}).BindFlags(libraries)
	libraries.VisitAll(func(f *flag.Flag) { flags[f.Name] = true })

	if diff := cmp.Diff(flags, rows(t, "docs/operations.md", regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|"))); diff != "" {
		t.Errorf("flags in the code (-) and in docs/operations.md (+):\n%s", diff)
	}
}

// flagOf is the name of a flag that is bound by a call such as f.StringVar(&v, "name", …).
func flagOf(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) < 3 {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !strings.HasSuffix(method.Sel.Name, "Var") {
		return "", false
	}
	return literal(call.Args[1])
}

func TestEveryMetricIsInTheTable(t *testing.T) {
	name := regexp.MustCompile(`^regcred_[a-z_]+$`)
	metrics := map[string]bool{}
	for _, dir := range []string{"providers", "controllers", filepath.Join("cmd", "regcred")} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			ast.Inspect(source(t, path), func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if value, ok := literal(e); ok && name.MatchString(value) {
						metrics[value] = true
					}
				}
				return true
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(metrics) < 15 {
		t.Fatalf("found %d metrics only", len(metrics))
	}
	if diff := cmp.Diff(metrics, rows(t, "docs/metrics.md", regexp.MustCompile("(?m)^\\| `(regcred_[a-z_]+)` \\|"))); diff != "" {
		t.Errorf("metrics in the code (-) and in docs/metrics.md (+):\n%s", diff)
	}
	for _, p := range pages(t) {
		for _, word := range regexp.MustCompile(`\bregcred_[a-z_]+`).FindAllString(p.everything(), -1) {
			if !metrics[word] {
				t.Errorf("%s speaks of %s, which is no metric", p.path, word)
			}
		}
	}
}

// rows are what stands in the first column of the tables of a page.
func rows(t *testing.T, path string, first *regexp.Regexp) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, row := range first.FindAllStringSubmatch(pages(t)[path].text, -1) {
		found[row[1]] = true
	}
	return found
}

func source(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// stringConstants are the constants of a file, by name.
func stringConstants(t *testing.T, path string) map[string]string {
	t.Helper()
	constants := map[string]string{}
	for _, declaration := range source(t, filepath.Join(root, path)).Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			for i, expression := range value.Values {
				if text, ok := literal(expression); ok {
					constants[value.Names[i].Name] = text
				}
			}
		}
	}
	return constants
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(l.Value)
	return value, err == nil
}
