package v1alpha1_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestEveryFieldExplainsItself checks what kubectl explain prints: every field has a sentence, which is one for readers of the API.
func TestEveryFieldExplainsItself(t *testing.T) {
	for _, k := range kinds {
		root := at(parse(t, string(read(t, k.crd))), []string{"spec", "versions", "0", "schema", "openAPIV3Schema"}).(map[string]any)
		page := "https://github.com/regcred/regcred/blob/main/docs/" + strings.TrimSuffix(k.resource, "s") + ".md"
		if text, _ := root["description"].(string); !strings.Contains(text, page) {
			t.Errorf("%s: the kind does not name its page %s: %q", k.resource, page, text)
		}
		if explained := explain(t, k.resource, "", root); explained < 70 {
			t.Errorf("%s: found %d fields only", k.resource, explained)
		}
	}
}

// theirs are Kubernetes' own texts, and metadata, which the API server explains.
var theirs = regexp.MustCompile(`^(apiVersion|kind|metadata|status\.conditions\[\]\..*)$`)

// explain counts the fields below a schema.
func explain(t *testing.T, resource, path string, schema map[string]any) int {
	t.Helper()
	explained := 0
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		field, child := strings.TrimPrefix(path+"."+name, "."), property.(map[string]any)
		explained += 1 + explain(t, resource, field, child)
		text, _ := child["description"].(string)
		if theirs.MatchString(field) {
			continue
		}
		if !strings.HasPrefix(text, name+" ") || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %s is not explained by a sentence that begins with its name: %q", resource, field, text)
		}
		if strings.Contains(text, "Absent:") || strings.Contains(text, "Defaults to") {
			t.Errorf("%s: %s calls its default otherwise than by \"Default:\": %q", resource, field, text)
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		explained += explain(t, resource, path+"[]", items)
	}
	return explained
}
