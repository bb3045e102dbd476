package chart

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// alone are values that no permutation sets, since the rest of it would be refused, or none needs them.
var alone = map[string]string{
	"hostNetwork":             `{hostNetwork: true}`, // Pod Security restricted refuses it
	"image.pullPolicy":        `{image: {pullPolicy: Never}}`,
	"logLevel":                `{logLevel: error}`,
	"diagnosePulls":           `{diagnosePulls: false}`,
	"uninstall.unlink":        `{uninstall: {unlink: false}}`,
	"credentialsKeep":         `{credentialsKeep: false, credentials: [{name: a, spec: {namespaceSelector: {}, registries: [{name: a, ecr: {}}]}}]}`,
	"resources":               `{resources: {limits: {memory: 1Gi}}}`,
	"metrics.service.enabled": `{metrics: {service: {enabled: false}}}`,
}

// withoutEffect are values that change nothing of what is rendered.
var withoutEffect = []string{"enabled"}

var rowOfValue = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ")

// TestEveryValueHasAnEffect wants each value of the README's table to be set by a permutation. `make chart` takes it out again: the chart must
// render something else.
func TestEveryValueHasAnEffect(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(world.Root, "charts", "regcred", "README.md"))
	must(t, err)
	rows := rowOfValue.FindAllStringSubmatch(string(readme), -1)
	if len(rows) < 90 {
		t.Fatalf("the table has %d values only", len(rows))
	}
	set := settings(t)
	for _, row := range rows {
		value := row[1]
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			path := strings.Split(value, ".")
			for _, s := range set {
				if s.hasEffect(t, path) {
					return
				}
			}
			if !slices.Contains(withoutEffect, value) {
				t.Error("no permutation in charts/regcred/ci sets it so that it changes what is rendered")
			}
		})
	}
}

// setting is what somebody sets, and what comes of it.
type setting struct {
	values   map[string]any
	rendered string
}

// settings are every permutation, and the values that are set alone.
func settings(t *testing.T) []setting {
	t.Helper()
	var texts []string
	for _, file := range permutations(t) {
		raw, err := os.ReadFile(file)
		must(t, err)
		texts = append(texts, string(raw))
	}
	var set []setting
	for _, text := range slices.Concat(texts, slices.Collect(maps.Values(alone))) {
		s := setting{values: map[string]any{}}
		must(t, yaml.Unmarshal([]byte(text), &s.values))
		if *everyOrder {
			var err error
			s.rendered, err = rendered(t, s.values)
			must(t, err)
		}
		set = append(set, s)
	}
	return set
}

// hasEffect says whether the value is set and, with -every-order, whether something else is rendered without it. That nothing can be
// rendered then is an effect, too.
func (s setting) hasEffect(t *testing.T, path []string) bool {
	t.Helper()
	if _, found, _ := unstructured.NestedFieldNoCopy(s.values, path...); !found || !*everyOrder {
		return found
	}
	less := (&unstructured.Unstructured{Object: s.values}).DeepCopy().Object
	unstructured.RemoveNestedField(less, path...)
	without, err := rendered(t, less)
	return err != nil || without != s.rendered
}

func rendered(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	text, err := yaml.Marshal(values)
	must(t, err)
	file := filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(file, text, 0o600))
	out, err := world.Helm(t.Context(), "template", "regcred", "charts/regcred", "--namespace", "regcred-system", "--values", file)
	if err != nil {
		return "", fmt.Errorf("rendering: %w", err)
	}
	return out, nil
}
