package v1alpha1_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A limit is one rule of a schema: the field that a complaint names, with [] for any index or key, and the complaint.
type limit struct{ field, message string }

// TestEveryRuleHasCases keeps a rule from being added to the schema without a value that it admits and one that it refuses.
// That the API server does so is for the tests that run the cases.
func TestEveryRuleHasCases(t *testing.T) {
	for _, k := range kinds {
		bad := slices.Concat(k.badSpecs(), badStatuses(), []badCase{{field: "spec.secretName", message: secretNameChangeMessage}})
		limits := limitsOf(t, k)
		good := k.goodObjects(t)
		for _, l := range limits {
			if !slices.ContainsFunc(bad, l.refuses) {
				t.Errorf("%s: no bad case for %s: %s", k.resource, l.field, l.message)
			}
			steps := pathSteps.FindAllString(l.field, -1)
			if !slices.ContainsFunc(good, func(o *unstructured.Unstructured) bool { return holds(o.Object, steps) }) {
				t.Errorf("%s: no good case has a value for %s: %s", k.resource, l.field, l.message)
			}
		}
		if rules := strings.Count(string(read(t, k.crd)), "rule:"); rules < 10 || len(limits) < 2*rules {
			t.Errorf("%s: found %d limits and %d rules: the walk has lost its way", k.crd, len(limits), rules)
		}
	}
}

func (l limit) refuses(c badCase) bool {
	if regexp.MustCompile(`\[[^\]]+\]|(matchLabels|labels|annotations)\.[a-z]+$`).ReplaceAllString(c.field, "${1}[]") != l.field {
		return false
	}
	return c.message == l.message || l.message == duplicate && strings.HasPrefix(c.message, duplicate+": ")
}

// goodObjects are all that the tests show to be admitted.
func (k kind) goodObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	base := k.good(t, "good")
	base.Object["status"] = parse(t, k.status)
	objects := []*unstructured.Unstructured{base}
	for _, c := range k.goodSpecs() {
		objects = append(objects, k.edited(t, c.path, c.value))
	}
	return objects
}

// holds says whether there is something where the steps lead, of which [] is any element.
func holds(node any, steps []string) bool {
	if len(steps) == 0 {
		return true
	}
	var children []any
	switch node := node.(type) {
	case map[string]any:
		for key, child := range node {
			if steps[0] == key || steps[0] == "[]" {
				children = append(children, child)
			}
		}
	case []any:
		if steps[0] == "[]" {
			children = node
		}
	}
	return slices.ContainsFunc(children, func(child any) bool { return holds(child, steps[1:]) })
}

func limitsOf(t *testing.T, k kind) []limit {
	t.Helper()
	crd := parse(t, string(read(t, k.crd)))
	root, ok := at(crd, []string{"spec", "versions", "0", "schema", "openAPIV3Schema"}).(map[string]any)
	if !ok {
		t.Fatalf("%s has no schema", k.crd)
	}
	return walk(root, "")
}

// walk collects the limits of a schema and of all below it.
func walk(schema map[string]any, path string) []limit {
	limits := slices.Concat(rules(schema, path), sizes(schema, path), shape(schema, path))
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		limits = append(limits, walk(property.(map[string]any), strings.TrimPrefix(path+"."+name, "."))...)
	}
	for _, keyword := range []string{"items", "additionalProperties"} {
		if child, ok := schema[keyword].(map[string]any); ok {
			limits = append(limits, walk(child, path+"[]")...)
		}
	}
	return limits
}

func rules(schema map[string]any, path string) []limit {
	var limits []limit
	list, _ := schema["x-kubernetes-validations"].([]any)
	for _, item := range list {
		rule := item.(map[string]any)
		fieldPath, _ := rule["fieldPath"].(string)
		message, _ := rule["message"].(string)
		limits = append(limits, limit{strings.TrimPrefix(path+fieldPath, "."), message})
	}
	return limits
}

func sizes(schema map[string]any, path string) []limit {
	formats := map[string]string{
		"minLength":     "should be at least %v chars long",
		"maxLength":     "Too long: may not be more than %v bytes",
		"minItems":      "should have at least %v items",
		"maxItems":      "Too many: %[2]v: must have at most %[1]v items",
		"maxProperties": "Too many: %[2]v: must have at most %[1]v items",
		"minimum":       "should be greater than or equal to %v",
		"maximum":       "should be less than or equal to %v",
	}
	var limits []limit
	for keyword, format := range formats {
		switch most := schema[keyword].(type) {
		case nil:
		case int64:
			if keyword == "maxItems" || keyword == "maxProperties" {
				limits = append(limits, limit{path, fmt.Sprintf(format, most, most+1)})
				continue
			}
			limits = append(limits, limit{path, fmt.Sprintf(format, most)})
		default:
			panic(fmt.Sprintf("%s: %s is %v", path, keyword, most))
		}
	}
	return limits
}

const duplicate = "Duplicate value"

// shape is what a schema says of presence, uniqueness, patterns, formats and enumerations.
func shape(schema map[string]any, path string) []limit {
	var limits []limit
	required, _ := schema["required"].([]any)
	for _, name := range required {
		limits = append(limits, limit{strings.TrimPrefix(path+"."+name.(string), "."), "Required value"})
	}
	if list := schema["x-kubernetes-list-type"]; list == "map" || list == "set" {
		limits = append(limits, limit{path + "[]", duplicate})
	}
	if pattern, ok := schema["pattern"]; ok {
		limits = append(limits, limit{path, fmt.Sprintf("should match '%s'", pattern)})
	}
	if schema["format"] == "date-time" {
		limits = append(limits, limit{path, notTime})
	}
	if values, ok := schema["enum"].([]any); ok {
		quoted := make([]string, len(values))
		for i, value := range values {
			quoted[i] = fmt.Sprintf("%q", value)
		}
		limits = append(limits, limit{path, "supported values: " + strings.Join(quoted, ", ")})
	}
	return limits
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
