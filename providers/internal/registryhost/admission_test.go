package registryhost_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers/internal/registryhost"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/controlplane"
)

// goodHosts are hosts that the schema and the parser must both take.
var goodHosts = []string{
	"docker.io", "registry", "localhost:5000", "10.0.0.1", "10.0.0.1:5000", "255.255.255.255", "myregistry.azurecr.io", "xn--bcher-kva.example",
	"registry.example:1", "registry.example:65535", "0a.example", "a.0a", "1-1", "10.example:443", "a.b.c.d.e", strings.Repeat("a", 63) + ".example",
}

// hostile are, beside those of providertest, what a careless pattern of a port or a number lets pass.
var hostile = []string{
	"registry.example:65540", "registry.example:66000", "registry.example:70000", "registry.example:99999", "registry.example:100000",
	"10.0.0", "10.0.0.256", "10.0.0.01", "a.10.0.0.1", "registry.0x1", "registry.1", "1:5000", "0x1:5000", "300.0.0.1:5000", "0x.example.0x",
}

// places are where a user names a host that gets a token, with the host of what stands there.
var places = []struct {
	name  string
	entry func(text string) map[string]any
	host  func(text string) string
}{
	{"static.host", func(text string) map[string]any {
		return map[string]any{"static": map[string]any{"host": text}, "identity": secretRef}
	}, whole},
	{"acr.registry", func(text string) map[string]any { return map[string]any{"acr": map[string]any{"registry": text}} }, whole},
	{"artifactory.url", func(text string) map[string]any {
		return map[string]any{"artifactory": map[string]any{"url": "https://" + text}, "identity": secretRef}
	}, whole},
	{"plugin.image", func(text string) map[string]any {
		return map[string]any{"plugin": map[string]any{"name": "a", "image": text}}
	}, func(text string) string {
		host, _, _ := strings.Cut(text, "/")
		return host
	}},
}

var secretRef = map[string]any{"secretRef": map[string]any{"name": "keys"}}

func whole(text string) string { return text }

// TestWhatTheSchemaAdmitsIsParsed asks a real API server, so that what a user may write does not turn out to be no host only when a
// token is wanted, nor mean another host to the schema than to the parser.
func TestWhatTheSchemaAdmitsIsParsed(t *testing.T) {
	client := registryCredentials(t)
	for _, place := range places {
		for _, text := range goodHosts {
			if _, err := registryhost.Parse(text); err != nil {
				t.Errorf("%q does not parse: %v", text, err)
			}
			if !admits(t, client, place.entry(text)) {
				t.Errorf("%s: %q is refused", place.name, text)
			}
		}
		refused := 0
		for _, text := range slices.Concat(providertest.HostileHosts("myregistry", "azurecr.io"), hostile) {
			// JSON cannot carry what is not UTF-8 to the API server.
			if !utf8.ValidString(text) || !admits(t, client, place.entry(text)) {
				refused++
				continue
			}
			if _, err := registryhost.Parse(place.host(text)); err != nil {
				t.Errorf("%s: %q is admitted and does not parse: %v", place.name, text, err)
			}
		}
		if refused < 300 {
			t.Errorf("%s: %d hostile texts were refused only", place.name, refused)
		}
	}
}

func admits(t *testing.T, client dynamic.ResourceInterface, entry map[string]any) bool {
	t.Helper()
	entry["name"] = "a"
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "RegistryCredential", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"registries": []any{entry}},
	}}
	_, err := client.Create(t.Context(), object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil && !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	return err == nil
}

func registryCredentials(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	cp, err := controlplane.Start(t.Context(), controlplane.Options{CRDDirectories: []string{"../../../config/crd"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := dynamic.NewForConfig(cp.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(v1alpha1.GroupVersion.WithResource("registrycredentials")).Namespace(metav1.NamespaceDefault)
}
