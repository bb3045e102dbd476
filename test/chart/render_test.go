package chart

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var charts = []string{"charts/regcred", "charts/regcred-crds"}

func TestLint(t *testing.T) {
	mustHelm(t, append([]string{"lint", "--strict"}, charts...)...)
}

// permutations are the values files of charts/regcred/ci.
func permutations(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(world.Root, "charts", "regcred", "ci", "*.yaml"))
	must(t, err)
	if len(files) < 5 {
		t.Fatalf("found %d permutations of values only", len(files))
	}
	return files
}

// prometheusOperator is where the kinds of monitoring.coreos.com are defined.
const prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// installMonitoring installs the Prometheus Operator's own definitions, which are part of its Go module.
func installMonitoring(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", prometheusOperator)
	cmd.Dir = t.TempDir() // outside of our module, whose go.sum has no part in it
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if parsed := json.Unmarshal(out, &module); parsed != nil || err != nil {
		t.Fatalf("%s: %v %v %s", prometheusOperator, err, parsed, module.Error)
	}
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		kubectl(t, "", "apply", "--server-side", "-f", filepath.Join(module.Dir, "example/prometheus-operator-crd/monitoring.coreos.com_"+kind+".yaml"))
	}
}

func TestEveryPermutationIsAdmitted(t *testing.T) {
	namespace(t, "regcred-system", map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"})
	for _, ns := range []string{"team-a", "team-b"} {
		namespace(t, ns, nil)
	}
	installMonitoring(t)
	installCRDs(t)
	kubectl(t, "", "wait", "--for=condition=Established", "crd", "--all")
	for _, file := range permutations(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			rendered := render(t, "--values", file)
			out := kubectl(t, rendered, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-o", "name")
			objects := documents(t, rendered)
			if got := len(strings.Fields(out)); got != len(objects) {
				t.Errorf("%d objects rendered, %d admitted", len(objects), got)
			}
			restricted(t, objects)
		})
	}
}

// TestTheAPIServerAddsNothingToPolicies: a tool that compares what is in Git with what is in the cluster sees no difference.
func TestTheAPIServerAddsNothingToPolicies(t *testing.T) {
	installCRDs(t)
	for _, args := range [][]string{nil, {"--set", "watchNamespaces={team-a,team-b},metrics.secure=false,excludedNamespaces={openshift-*}"}} {
		kinds := map[string]int{}
		for _, rendered := range documents(t, render(t, args...)) {
			if !strings.Contains(rendered.GetKind(), "AdmissionPolicy") {
				continue
			}
			kinds[rendered.GetKind()]++
			text, err := yaml.Marshal(rendered)
			must(t, err)
			stored := &unstructured.Unstructured{}
			must(t, yaml.Unmarshal([]byte(kubectl(t, string(text), "create", "--dry-run=server", "-o", "yaml")), &stored.Object))
			if diff := cmp.Diff(rendered.Object["spec"], stored.Object["spec"]); diff != "" {
				t.Errorf("%s %s (-rendered +stored):\n%s", rendered.GetKind(), rendered.GetName(), diff)
			}
		}
		if len(kinds) != 4 {
			t.Errorf("%v: %v", args, kinds)
		}
	}
}

// render renders the chart as for this API server.
func render(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"template", "regcred", "charts/regcred", "--namespace", "regcred-system",
		"--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"}, args...)
	return mustHelm(t, args...)
}

func documents(t *testing.T, rendered string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		object := &unstructured.Unstructured{}
		must(t, yaml.Unmarshal([]byte(document), &object.Object))
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects
}

// restricted makes pods of the Deployment's and the Job's template in a namespace that enforces Pod Security restricted.
func restricted(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	kinds := map[string]bool{}
	for _, o := range objects {
		if kind := o.GetKind(); kind == "Deployment" || kind == "Job" {
			kinds[kind] = true
			restrictedPod(t, o)
		}
	}
	// Without rights of its own there is no Job.
	rights := slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "RoleBinding" })
	if diff := cmp.Diff(map[string]bool{"Deployment": true, "Job": rights}, map[string]bool{"Deployment": kinds["Deployment"], "Job": kinds["Job"]}); diff != "" {
		t.Errorf("what makes pods (-want +got):\n%s", diff)
	}
}

func restrictedPod(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	raw, err := json.Marshal(o.Object)
	must(t, err)
	var made struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	must(t, json.Unmarshal(raw, &made))
	pod := made.Spec.Template
	for _, c := range pod.Spec.Containers {
		if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("container %s can write to its root filesystem", c.Name)
		}
		if len(c.Command) > 0 {
			t.Errorf("container %s runs %q instead of the image's entrypoint", c.Name, c.Command)
		}
	}
	// The admission of ServiceAccounts and priorities is not what this is about.
	pod.Spec.ServiceAccountName, pod.Spec.PriorityClassName = "default", ""
	tried := &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	tried.APIVersion, tried.Kind, tried.Namespace, tried.GenerateName = "v1", "Pod", "regcred-system", "restricted-"
	text, err := yaml.Marshal(tried)
	must(t, err)
	kubectl(t, string(text), "create", "--dry-run=server")
}

func TestBadValuesAreRefusedWithTheCure(t *testing.T) {
	for _, c := range []struct{ set, message string }{
		{"allowAmbientIdentity=true,policies.enabled=false", "allowAmbientIdentity needs policies.enabled"},
		{"watchNamespaces={team-a}", "set metrics.secure=false"},
		{"watchNamespaces={team-a},metrics.secure=false,credentials[0].name=a,credentials[0].spec.namespaceSelector.matchLabels.a=b,credentials[0].spec.registries[0].name=c", "create RegistryCredentials in these namespaces"},
		{"secretNames={regcred},credentials[0].name=a,credentials[0].spec.namespaceSelector.matchLabels.a=b,credentials[0].spec.registries[0].name=c", "a is not among secretNames"},
		{"metrics.serviceMonitor.enabled=true,metrics.service.enabled=false", "use metrics.podMonitor"},
		{"metrics.podMonitor.enabled=true", "metrics.podMonitor.tokenSecret"},
		{"serviceAccount.create=false", "serviceAccount.name"},
		{"replica=3", "additional properties 'replica' not allowed"},
		{"metrics.sercure=false", "additional properties 'sercure' not allowed"},
		{"policies.tokenAudiences={https://kubernetes.default.svc}", "/policies/tokenAudiences/0"},
		{"policies.tokenAudiences={it's}", "/policies/tokenAudiences/0"},
		{"watchNamespaces={Team}", "/watchNamespaces/0"},
		{"credentials[0].name=a", "/credentials/0"},
		{"logLevel=loud", "/logLevel"},
	} {
		_, err := world.Helm(t.Context(), "template", "regcred", "charts/regcred", "--set", c.set)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v; want %q", c.set, err, c.message)
		}
	}
}

// TestNothingIsTypedTwice runs what `make generate` runs, and finds nothing to change.
func TestNothingIsTypedTwice(t *testing.T) {
	copied := t.TempDir()
	for _, dir := range []string{"charts", "config", "go.mod", "go.sum"} {
		out, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Join(world.Root, dir), copied).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(copied, "charts", "generate")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(tree(t, filepath.Join(world.Root, "charts")), tree(t, filepath.Join(copied, "charts"))); diff != "" {
		t.Errorf("charts/generate changes charts (-is +would be):\n%s", diff)
	}
	if !bytes.Contains(tree(t, filepath.Join(world.Root, "charts"))["regcred/README.md"], []byte("| `metrics.secure` | `true` |")) {
		t.Error("the README has no table of values")
	}
}

func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	}))
	return files
}

// TestTheSchemaKnowsEveryValue: the other direction, that it knows no more, is what a strict schema does to values.yaml itself.
func TestTheSchemaKnowsEveryValue(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(world.Root, "charts", "regcred", "values.yaml"))
	must(t, err)
	var values map[string]any
	must(t, yaml.Unmarshal(raw, &values))
	raw, err = os.ReadFile(filepath.Join(world.Root, "charts", "regcred", "values.schema.json"))
	must(t, err)
	var schema map[string]any
	must(t, json.Unmarshal(raw, &schema))
	compare(t, "", values, schema)
}

func compare(t *testing.T, path string, values, schema map[string]any) {
	t.Helper()
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return
	}
	if schema["additionalProperties"] != false {
		t.Errorf("the schema lets everything pass in %q", path)
	}
	for key := range properties {
		if _, ok := values[key]; !ok && path+key != "global" && !strings.HasPrefix(path, "resources.") {
			t.Errorf("values.yaml does not have %s%s", path, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		inner, isMap := values[key].(map[string]any)
		property, known := properties[key].(map[string]any)
		switch {
		case !known:
			t.Errorf("the schema does not have %s%s", path, key)
		case isMap:
			compare(t, path+key+".", inner, property)
		}
	}
}
