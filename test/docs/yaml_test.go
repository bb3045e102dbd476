package docs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
)

// withKinds makes our kinds present.
const withKinds = `
kubectl get crd registrycredentials.regcred.dev >/dev/null 2>&1 || {
  kubectl apply --server-side -f config/crd >/dev/null
  kubectl wait --for=condition=Established -f config/crd >/dev/null
}
`

// dryRun has the API server say whether it would take the objects, unknown fields and admission policies included. Their namespaces and
// kinds are made present.
func (w *world) dryRun(ctx context.Context, objects string) error {
	_, err := w.shell(ctx, withKinds+`
objects=$(cat)
sed -nE 's/^ *namespace: "?([a-z0-9-]+)"?.*/\1/p; s/.*[{ ]namespace: ([a-z0-9-]+)[,}].*/\1/p' <<<"$objects" | sort -u | while read -r namespace; do
  kubectl create namespace "$namespace" >/dev/null 2>&1 || true
done
kubectl apply --server-side --dry-run=server --validate=strict --force-conflicts --field-manager=docs -f - <<<"$objects"`, objects)
	return err
}

// install renders the chart with the values, as at an installation, which sees the cluster, and has the API server say whether it would take the result.
func (w *world) install(ctx context.Context, values string) error {
	rendered, err := w.shell(ctx, withKinds+`
kubectl create namespace regcred-system >/dev/null 2>&1 || true
cat > values.yaml
helm template regcred charts/regcred --namespace regcred-system --values values.yaml --skip-tests --dry-run=server`, values)
	if err != nil {
		return err
	}
	return w.dryRun(ctx, rendered)
}

// partsOf are the kinds of which pages show a part only.
var partsOf = map[string]func() any{
	"RegistryCredential":        func() any { return &v1alpha1.RegistryCredential{} },
	"ClusterRegistryCredential": func() any { return &v1alpha1.ClusterRegistryCredential{} },
	"Spec":                      func() any { return &v1alpha1.CredentialSpec{} },
	"Pod":                       func() any { return &corev1.Pod{} },
	"Secret":                    func() any { return &corev1.Secret{} },
	"ServiceAccount":            func() any { return &corev1.ServiceAccount{} },
	"Deployment":                func() any { return &appsv1.Deployment{} },
}

func decodePart(kind, code string) error {
	into, ok := partsOf[kind]
	if !ok {
		return fmt.Errorf("%q is none of the kinds %q", kind, slices.Sorted(maps.Keys(partsOf)))
	}
	return yaml.UnmarshalStrict([]byte(code), into())
}

// tryPart has the API server take what a part of one of our kinds is of.
func (w *world) tryPart(ctx context.Context, kind, code string) error {
	if err := decodePart(kind, code); err != nil || !slices.Contains([]string{"RegistryCredential", "ClusterRegistryCredential", "Spec"}, kind) {
		return err
	}
	whole, err := completed(kind, code)
	if err != nil {
		return err
	}
	return w.dryRun(ctx, whole)
}

// TestSamplesAreTaken has the API server take every sample.
func TestSamplesAreTaken(t *testing.T) {
	samples, err := filepath.Glob(filepath.Join(root, "config", "samples", "*.yaml"))
	if err != nil || len(samples) < 5 {
		t.Fatalf("found %d samples, %v", len(samples), err)
	}
	defer theWorld.clean(t)
	for _, sample := range samples {
		raw, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		if err := theWorld.dryRun(t.Context(), string(raw)); err != nil {
			t.Errorf("%s: %v", strings.TrimPrefix(sample, root), err)
		}
	}
}
