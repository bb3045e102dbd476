// Command table writes the tables of the charts' values into their READMEs: each value that values.yaml describes after "# --", with its
// default.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

const begin, end = "<!-- values -->\n", "<!-- /values -->\n"

func main() {
	for _, chart := range []string{"charts/regcred", "charts/regcred-crds"} {
		if err := write(chart); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", chart, err)
			os.Exit(1)
		}
	}
}

func write(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	rows, err := table(string(values))
	if err != nil {
		return err
	}
	path := filepath.Join(chart, "README.md")
	readme, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	_, after, also := strings.Cut(rest, end)
	if !ok || !also {
		return errors.New("README.md does not say where the table goes")
	}
	return os.WriteFile(path, []byte(before+begin+rows+end+after), 0o600) //nolint:gosec // what is written goes nowhere else
}

// table finds the described keys by their indentation, and their defaults in the parsed values. A key without description whose
// parent has none is an error: no value goes undescribed.
func table(text string) (string, error) {
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return "", err
	}
	var rows strings.Builder
	rows.WriteString("| value | default | meaning |\n|---|---|---|\n")
	var path []string
	description := ""
	inside := -1 // the indentation of the described key that we are in
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if d, ok := strings.CutPrefix(trimmed, "# -- "); ok {
			description = d
			continue
		}
		key, _, isKey := strings.Cut(trimmed, ":")
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "- ") || !isKey || inside >= 0 && indent > inside {
			continue
		}
		inside = -1
		path = append(path[:indent/2:indent/2], key)
		value := lookup(values, path)
		if description == "" {
			if _, parent := value.(map[string]any); !parent {
				return "", fmt.Errorf("values.yaml does not describe %s", strings.Join(path, "."))
			}
			continue
		}
		shown, err := json.Marshal(value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&rows, "| `%s` | `%s` | %s |\n", strings.Join(path, "."), shown, description)
		description, inside = "", indent
	}
	return rows.String(), nil
}

func lookup(values any, path []string) any {
	for _, key := range path {
		m, _ := values.(map[string]any)
		values = m[key]
	}
	return values
}
