package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// pagesOf are those that describe the fields of a kind, apart from those of providers.
var pagesOf = map[string][]string{
	"RegistryCredential":        {"docs/registrycredential.md"},
	"ClusterRegistryCredential": {"docs/clusterregistrycredential.md", "docs/registrycredential.md"},
}

// TestEveryFieldHasAnExample keeps a field from being added that its page does not name, or shows no example of: one of the blocks that the
// API server takes. What a provider alone reads is on the provider's page.
func TestEveryFieldHasAnExample(t *testing.T) {
	all, found := pages(t), 0
	for kind, files := range pagesOf {
		for _, field := range fieldsOf(t, kind) {
			at := files
			if provider, ok := providerOf(field); ok {
				at = []string{filepath.Join("docs", "providers", strings.ToLower(provider)+".md")}
			}
			found++
			if !slices.ContainsFunc(at, func(path string) bool { return all[path].shows(t, field) }) {
				t.Errorf("%s: no example of %s in %v", kind, field, at)
			}
			name := field[strings.LastIndexByte(field, '.')+1:]
			if !slices.ContainsFunc(at, func(path string) bool {
				return strings.Contains(all[path].everything(), strings.TrimSuffix(name, "[]"))
			}) {
				t.Errorf("%s: %s is named in none of %v", kind, field, at)
			}
		}
	}
	if found < 150 {
		t.Errorf("found %d fields only: the walk has lost its way", found)
	}
}

// providerOf says whether the field is of one provider.
func providerOf(field string) (string, bool) {
	rest, ok := strings.CutPrefix(field, "spec.registries[].")
	member, _, _ := strings.Cut(rest, ".")
	common := []string{"name", "identity", "verify", "renewBeforePercentage", "override"}
	return member, ok && !slices.Contains(common, member)
}

// fieldsOf are the paths of all fields of a kind's spec and status, but those of conditions, which are Kubernetes' own.
func fieldsOf(t *testing.T, kind string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "config", "crd", "regcred.dev_"+strings.ToLower(kind)+"s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root properties `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(raw, &crd); err != nil {
		t.Fatal(err)
	}
	schema := crd.Spec.Versions[0].Schema.Root
	schema.Properties = map[string]properties{"spec": schema.Properties["spec"], "status": schema.Properties["status"]}
	return slices.DeleteFunc(schema.paths(""), func(path string) bool { return strings.HasPrefix(path, "status.conditions[].") })
}

// properties are the part of a schema that says which fields there are.
type properties struct {
	Properties map[string]properties `json:"properties"`
	Items      *properties           `json:"items"`
}

func (p properties) paths(above string) []string {
	var all []string
	for name, child := range p.Properties {
		path := strings.TrimPrefix(above+"."+name, ".")
		all = append(all, path)
		if child.Items != nil {
			child, path = *child.Items, path+"[]"
		}
		all = append(all, child.paths(path)...)
	}
	return all
}

// shows says whether an example of the page has a value for the field.
func (p page) shows(t *testing.T, field string) bool {
	t.Helper()
	return slices.ContainsFunc(p.blocks, func(b block) bool {
		check, err := b.check()
		if err != nil || b.language != "yaml" || !slices.Contains([]string{"run", "part"}, check) {
			return false
		}
		for document := range strings.SplitSeq(b.filledIn(), "\n---\n") {
			var o map[string]any
			if err := utilyaml.Unmarshal([]byte(document), &o); err != nil {
				t.Errorf("%s: %v", p.at(b), err)
			}
			if b.marks["part"] == "Spec" {
				o = map[string]any{"spec": o}
			}
			if has(o, strings.Split(field, ".")) {
				return true
			}
		}
		return false
	})
}

// has says whether there is something where the steps lead, of which a list has [] behind its name.
func has(node any, steps []string) bool {
	if len(steps) == 0 {
		return true
	}
	object, _ := node.(map[string]any)
	name, list := strings.CutSuffix(steps[0], "[]")
	child, ok := object[name]
	if !ok || !list {
		return ok && has(child, steps[1:])
	}
	items, _ := child.([]any)
	return slices.ContainsFunc(items, func(item any) bool { return has(item, steps[1:]) })
}

// completed makes an object of a part of one of our kinds, with the least that the API server asks for besides.
func completed(kind, code string) (string, error) {
	o := map[string]any{}
	if err := yaml.Unmarshal([]byte(code), &o); err != nil {
		return "", err
	}
	if kind == "Spec" {
		kind, o = "RegistryCredential", map[string]any{"spec": o}
	}
	spec, _ := o["spec"].(map[string]any)
	least := map[string]any{"registries": []any{map[string]any{"name": "team", "ecr": map[string]any{}}}}
	metadata := map[string]any{"name": "example", "namespace": "team-a"}
	if kind == "ClusterRegistryCredential" {
		least["namespaceSelector"] = map[string]any{}
		delete(metadata, "namespace")
	}
	maps.Copy(least, spec)
	raw, err := yaml.Marshal(map[string]any{"apiVersion": "regcred.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": least, "status": o["status"]})
	if err != nil {
		return "", fmt.Errorf("completing a part: %w", err)
	}
	return string(raw), nil
}
