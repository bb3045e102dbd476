package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// value is one that values.yaml describes.
type value struct {
	path        []string
	description string
	preset      any
}

// described finds the described keys by their indentation, and their defaults in the parsed values. A key without description whose
// parent has none is an error: no value goes undescribed.
func described(text string) ([]value, error) {
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return nil, err
	}
	var all []value
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
		preset := lookup(values, path)
		if description == "" {
			if _, parent := preset.(map[string]any); !parent {
				return nil, fmt.Errorf("values.yaml does not describe %s", strings.Join(path, "."))
			}
			continue
		}
		all = append(all, value{path: path, description: description, preset: preset})
		description, inside = "", indent
	}
	return all, nil
}

func lookup(values any, path []string) any {
	for _, key := range path {
		m, _ := values.(map[string]any)
		values = m[key]
	}
	return values
}

// table is in Markdown.
func table(values []value) string {
	var rows strings.Builder
	rows.WriteString("| value | default | meaning |\n|---|---|---|\n")
	for _, v := range values {
		shown, _ := json.Marshal(v.preset) // it comes from YAML
		fmt.Fprintf(&rows, "| `%s` | `%s` | %s |\n", strings.Join(v.path, "."), shown, v.description)
	}
	return rows.String()
}
