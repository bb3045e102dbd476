package v1alpha1_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/api/v1alpha1"
)

// TestProviderIsNamedAsItsMember keeps a member from being forgotten: in the rule that one is set, or in Provider.
func TestProviderIsNamedAsItsMember(t *testing.T) {
	list, _, _ := strings.Cut(strings.TrimPrefix(providerMessage, "exactly one of the fields in ["), "]")
	inRule := strings.Fields(list)
	var members []string
	registry := reflect.TypeFor[v1alpha1.Registry]()
	for field := range registry.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Type.Kind() != reflect.Pointer || slices.Contains([]string{"identity", "verify", "override"}, name) {
			continue
		}
		members = append(members, name)
		r := v1alpha1.Registry{Name: "a"}
		reflect.ValueOf(&r).Elem().FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		if got, _ := r.Provider(); got != name {
			t.Errorf("the provider of %s is %q", name, got)
		}
	}
	if diff := cmp.Diff(members, inRule); diff != "" || len(members) < 7 {
		t.Errorf("members of the struct (-) and of the rule (+):\n%s", diff)
	}
	for _, k := range kinds {
		if !slices.Contains(limitsOf(t, k), limit{"spec.registries[]", providerMessage}) {
			t.Errorf("%s: no such rule: %s", k.resource, providerMessage)
		}
	}
	if name, endpoint := (&v1alpha1.Registry{Name: "a"}).Provider(); name != "" || endpoint != "" {
		t.Errorf("the provider of an entry without any is %q at %q", name, endpoint)
	}
}

// TestEndpoints tells apart what is limited, and given a rest, as one.
func TestEndpoints(t *testing.T) {
	for want, r := range map[string]v1alpha1.Registry{
		"eu-west-1":               {ECR: &v1alpha1.ECR{Region: "eu-west-1", RoleARN: roleARN + "pull"}},
		"myregistry.azurecr.io":   {ACR: &v1alpha1.ACR{Registry: "myregistry.azurecr.io", Regions: []string{"westeurope"}}},
		"https://acme.jfrog.io":   {Artifactory: &v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: []v1alpha1.Host{"docker.acme.example"}}},
		"ecr-credential-provider": {Plugin: &v1alpha1.Plugin{Name: "ecr-credential-provider", Image: "registry.example"}},
	} {
		if name, got := r.Provider(); got != want {
			t.Errorf("the endpoint of %s is %q, want %q", name, got, want)
		}
	}
}

func TestLifetimes(t *testing.T) {
	for text, want := range map[v1alpha1.Lifetime]time.Duration{
		"": 0, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "11h59m60s": 12 * time.Hour, "86400s": 24 * time.Hour,
	} {
		if got := text.Duration(); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// TestAdmittedLifetimesParse takes those that the API server admits; see TestGoodSpecsAreAdmitted.
func TestAdmittedLifetimesParse(t *testing.T) {
	tried := 0
	for _, c := range goodSpecs() {
		if !strings.HasSuffix(c.path, ".tokenLifetime") {
			continue
		}
		tried++
		if got := v1alpha1.Lifetime(c.value).Duration(); got < 10*time.Minute || got > 24*time.Hour {
			t.Errorf("%s is %s", c.value, got)
		}
	}
	if tried < 10 {
		t.Errorf("tried %d lifetimes only", tried)
	}
}
