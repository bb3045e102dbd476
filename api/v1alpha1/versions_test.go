package v1alpha1_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// The oldest Kubernetes that Regcred is for is 1.30. An API server takes new rules only if its predecessor would know them, too:
// https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries.
var knownTo = environment.MustBaseEnvSet(version.MajorMinor(1, 29))

func TestTheOldestAPIServerTakesTheRules(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "crd", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(raw, &crd); err != nil || crd.Kind != "CustomResourceDefinition" {
			continue // kustomization.yaml
		}
		for _, v := range crd.Spec.Versions {
			var internal apiextensions.JSONSchemaProps
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
				t.Fatal(err)
			}
			root, err := structuralschema.NewStructural(&internal)
			if err != nil {
				t.Fatal(err)
			}
			rules += compiled(t, crd.Name, root, true)
		}
	}
	if rules < 50 {
		t.Errorf("%d rules were found: this test does not see them", rules)
	}
}

// compiled compiles the rules of a schema and of all below it, and counts them.
func compiled(t *testing.T, path string, s *structuralschema.Structural, root bool) int {
	t.Helper()
	results, err := cel.Compile(s, model.SchemaDeclType(s, root), celconfig.PerCallLimit, knownTo, cel.NewExpressionsEnvLoader())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for i, r := range results {
		if r.Error != nil {
			t.Errorf("%s: %s: %v", path, s.XValidations[i].Rule, r.Error)
		}
	}
	n := len(results)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		n += compiled(t, path+"."+name, &property, false)
	}
	if s.Items != nil {
		n += compiled(t, path+"[]", s.Items, false)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		n += compiled(t, path+"{}", s.AdditionalProperties.Structural, false)
	}
	return n
}
