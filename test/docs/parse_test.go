package docs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/test/controlplane/assets"
)

// parsers are for what cannot be run here.
var parsers = map[string]func(context.Context, string) error{
	"json": func(_ context.Context, code string) error { return json.Unmarshal([]byte(code), new(any)) },
	"yaml": func(_ context.Context, code string) error { return yaml.UnmarshalStrict([]byte(code), new(any)) },
	"sh":   parseShell, "hcl": parseHCL, "promql": parsePromQL,
}

// parseShell has bash parse the script, and looks up the commands of others in it, and the targets of make.
func parseShell(ctx context.Context, code string) error {
	cmd := exec.CommandContext(ctx, "bash", "-n")
	cmd.Stdin = strings.NewReader(code)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	known, err := othersCommands()
	if err != nil {
		return err
	}
	if err := known.ask(ctx, code); err != nil {
		return err
	}
	return errors.Join(known.check(code), checkTargets(code))
}

var makeTarget = regexp.MustCompile(`(?m)^make ([a-z0-9 -]+)`)

// checkTargets wants the targets of make to be in the Makefile.
func checkTargets(code string) error {
	raw, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return err
	}
	for _, found := range makeTarget.FindAllStringSubmatch(code, -1) {
		for target := range strings.FieldsSeq(found[1]) {
			if !strings.Contains(string(raw), "\n"+target+":") {
				return fmt.Errorf("the Makefile has no target %s", target)
			}
		}
	}
	return nil
}

// commands are those of others' command lines that pages use, with their flags.
type commands map[string][]string

// othersCommands reads testdata/commands.txt, whose lines are a command and flags of it, under the page of its documentation.
func othersCommands() (commands, error) {
	raw, err := os.ReadFile(filepath.Join("testdata", "commands.txt"))
	if err != nil {
		return nil, err
	}
	known := commands{}
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		command, flags, _ := strings.Cut(line, " --")
		known[command] = strings.Fields("--" + flags)
	}
	return known, nil
}

var (
	command = regexp.MustCompile(
		`(?m)(?:^|[|=] *)\s*((?:aws|az|gcloud|eksctl|cosign|docker|gh|kube-apiserver|kubectl|helm) [^\n)|]*)`)
	ownHelp  = regexp.MustCompile(`(?m)(?:^|[|=] *)\s*(kubectl|helm) ([a-z]+)`)
	longFlag = regexp.MustCompile(`\s(--[a-z][a-z0-9-]*)`)
	nested   = regexp.MustCompile(`\$\(([^()]*)\)`)
	quoted   = regexp.MustCompile(`'[^']*'|"[^"]*"`)
)

// ask adds the commands of kubectl and helm in the script: these programs are here, and say themselves which flags they have.
func (known commands) ask(ctx context.Context, code string) error {
	for _, found := range ownHelp.FindAllStringSubmatch(code, -1) {
		path := filepath.Join(theWorld.dir, "bin", found[1])
		help, err := exec.CommandContext(ctx, path, found[2], "--help").Output()
		if err != nil {
			return fmt.Errorf("%s %s --help: %w", found[1], found[2], err)
		}
		if found[1] == "kubectl" {
			options, err := exec.CommandContext(ctx, path, "options").Output()
			if err != nil {
				return fmt.Errorf("kubectl options: %w", err)
			}
			help = append(help, options...)
		}
		for _, flag := range longFlag.FindAllSubmatch(help, -1) {
			known[found[1]+" "+found[2]] = append(known[found[1]+" "+found[2]], string(flag[1]))
		}
	}
	return nil
}

func (known commands) check(code string) error {
	var errs []error
	code = strings.ReplaceAll(code, "\\\n", " ")
	for _, inner := range nested.FindAllStringSubmatch(code, -1) {
		errs = append(errs, known.check(inner[1]))
	}
	code = quoted.ReplaceAllString(nested.ReplaceAllString(code, "X"), "X")
	for _, found := range command.FindAllStringSubmatch(code, -1) {
		name := known.name(found[1])
		if name == "" {
			errs = append(errs, fmt.Errorf("testdata/commands.txt does not know the command of: %s", found[1]))
			continue
		}
		for _, flag := range longFlag.FindAllStringSubmatch(found[1], -1) {
			if !slices.Contains(known[name], flag[1]) {
				errs = append(errs, fmt.Errorf("testdata/commands.txt knows no flag %s of %s", flag[1], name))
			}
		}
	}
	return errors.Join(errs...)
}

// name is the longest known command that the line begins with.
func (known commands) name(line string) string {
	longest := ""
	for name := range known {
		if strings.HasPrefix(line+" ", name+" ") && len(name) > len(longest) {
			longest = name
		}
	}
	return longest
}

// parseHCL wants Terraform as its formatter would write it.
func parseHCL(ctx context.Context, code string) error {
	hclfmt, err := tool(ctx, "tools/docs/go.mod", "hclfmt")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "page-*.tf")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	if _, err := file.WriteString(code); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, hclfmt, "-check", "-require-no-change", file.Name()).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: hclfmt would write:\n%s", err, out)
	}
	return nil
}

// parsePromQL has promtool read each line as the expression of a rule.
func parsePromQL(ctx context.Context, code string) error {
	dir, err := assets.Find(ctx, assets.Promtool)
	if err != nil {
		return err
	}
	var rules []map[string]string
	for line := range strings.Lines(code) {
		rules = append(rules, map[string]string{"record": fmt.Sprintf("a:line%d", len(rules)), "expr": line})
	}
	raw, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "page", "rules": rules}}})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, assets.Promtool), "check", "rules")
	cmd.Stdin = bytes.NewReader(raw)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestParsersRefuseWhatIsWrong(t *testing.T) {
	for language, code := range map[string]string{
		"json":   `{"Version": }`,
		"yaml":   "a: 1\na: 2\n",
		"hcl":    "resource \"aws_iam_role\" {\n",
		"promql": "sum by (provider (regcred_provider_errors_total)",
		"sh":     "aws iam create-role --role-nam regcred",
	} {
		if err := parsers[language](t.Context(), code); err == nil {
			t.Errorf("%s: passed: %s", language, code)
		}
	}
	for _, code := range []string{"if true; then", "kubectl logs --tial=1", "helm pul oci://a/b", "helm pull --vers 1", "make demo tset"} {
		if err := parseShell(t.Context(), code); err == nil {
			t.Errorf("passed: %s", code)
		}
	}
}
