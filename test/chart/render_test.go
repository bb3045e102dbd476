package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// foreign are Go modules that define kinds which the chart makes objects of, with the paths of the definitions.
var foreign = map[string][]string{
	"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
	"github.com/GoogleCloudPlatform/prometheus-engine@v0.17.2": {"manifests/setup.yaml"},
	"github.com/cert-manager/cert-manager@v1.19.1":             {"deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml"},
}

// installForeign installs the definitions of others, which are part of their Go modules.
func installForeign(t *testing.T) {
	t.Helper()
	for module, files := range foreign {
		cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
		cmd.Dir = t.TempDir() // outside of our module, whose go.sum has no part in it
		out, err := cmd.Output()
		var downloaded struct{ Dir, Error string }
		if parsed := json.Unmarshal(out, &downloaded); parsed != nil || err != nil {
			t.Fatalf("%s: %v %v %s", module, err, parsed, downloaded.Error)
		}
		for _, file := range files {
			kubectl(t, "", "apply", "--server-side", "-f", filepath.Join(downloaded.Dir, file))
		}
	}
	kubectl(t, "", "wait", "--for=condition=Established", "crd", "--all")
}

func TestEveryPermutationIsAdmitted(t *testing.T) {
	namespace(t, "regcred-system", map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"})
	for _, ns := range []string{"team-a", "team-b", "platform"} {
		namespace(t, ns, nil)
	}
	installCRDs(t)
	installForeign(t)
	for _, file := range permutations(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			objects := documents(t, render(t, "--values", file))
			restricted(t, objects)
			// A pod needs its ServiceAccount, which a dry run does not make.
			objects = slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Pod" })
			if got := len(dryRun(t, objects)); got != len(objects) {
				t.Errorf("%d objects rendered, %d admitted", len(objects), got)
			}
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

// dryRun is what the API server would keep of the objects.
func dryRun(t *testing.T, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	var text strings.Builder
	for _, o := range objects {
		raw, err := yaml.Marshal(o.Object)
		must(t, err)
		fmt.Fprintf(&text, "---\n%s", raw)
	}
	out := kubectl(t, text.String(), "apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-o", "json")
	list := &unstructured.UnstructuredList{}
	must(t, json.Unmarshal([]byte(out), list))
	if list.GetKind() != "List" { // kubectl makes none of one object
		one := &unstructured.Unstructured{}
		must(t, json.Unmarshal([]byte(out), one))
		return []*unstructured.Unstructured{one}
	}
	var kept []*unstructured.Unstructured
	for i := range list.Items {
		kept = append(kept, &list.Items[i])
	}
	return kept
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
		raw, err := yaml.YAMLToJSON([]byte(document))
		must(t, err)
		if string(raw) == "null" {
			continue
		}
		object := &unstructured.Unstructured{}
		must(t, object.UnmarshalJSON(raw)) // with whole numbers, as the API server's answers
		objects = append(objects, object)
	}
	return objects
}

// restricted makes the pods of the Deployment, of the hook's Job and of the test in a namespace that enforces Pod Security restricted.
func restricted(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	kinds := map[string]bool{}
	for _, o := range objects {
		if kind := o.GetKind(); kind == "Deployment" || kind == "Job" || kind == "Pod" {
			kinds[kind] = true
			restrictedPod(t, o)
		}
	}
	want := map[string]bool{"Deployment": true}
	// Without rights of their own there are no others.
	if slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "RoleBinding" }) {
		want["Job"], want["Pod"] = true, true
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("what makes pods (-want +got):\n%s", diff)
	}
}

// podOf is the pod that an object is or makes.
func podOf(t *testing.T, o *unstructured.Unstructured) corev1.PodTemplateSpec {
	t.Helper()
	raw, err := json.Marshal(o.Object)
	must(t, err)
	var pod corev1.PodTemplateSpec
	var made struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	if o.GetKind() == "Pod" {
		must(t, json.Unmarshal(raw, &pod))
		return pod
	}
	must(t, json.Unmarshal(raw, &made))
	return made.Spec.Template
}

func restrictedPod(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	pod := podOf(t, o)
	for _, c := range pod.Spec.Containers {
		if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("container %s can write to its root filesystem", c.Name)
		}
		if len(c.Command) > 0 {
			t.Errorf("container %s runs %q instead of the image's entrypoint", c.Name, c.Command)
		}
	}
	// The admission of ServiceAccounts, priorities and runtimes is not what this is about.
	pod.Spec.ServiceAccountName, pod.Spec.PriorityClassName, pod.Spec.RuntimeClassName = "default", "", nil
	tried := &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	tried.APIVersion, tried.Kind, tried.Namespace, tried.Name, tried.GenerateName = "v1", "Pod", "regcred-system", "", "restricted-"
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
		{"diagnosePulls=false,recoverPods=true", "/recoverPods"},
		{"artifactory.audiences.http://acme=a", "/artifactory/audiences"},
		{"registryRealms.registry\\.example={https://login.example}", "/registryRealms/registry.example/0"},
		{"registryRealms.https://registry={login.example}", "'https://registry' does not match pattern"},
		{"watchNamespaces={Team}", "/watchNamespaces/0"},
		{"credentials[0].name=a", "/credentials/0"},
		{"credentials[0].name=a,credentials[0].spec.namespaceSelector.matchLabels.a=b,credentials[0].spec.registries[0].name=c,credentials[0].spec.registries[0].ecr.regoin=d", "additional properties 'regoin' not allowed"},
		{"logLevel=loud", "/logLevel"},
		{"networkPolicy.presets={moon}", "/networkPolicy/presets/0"},
		{"metrics.podMonitoring.enabled=true", "metrics.podMonitoring.tokenSecret"},
		{"metrics.serviceMonitor.enabled=true", "set metrics.certManager.enabled, metrics.certificateSecret, or metrics.secure=false"},
		{"metrics.certificateSecret=a,metrics.certManager.enabled=true", "choose one"},
		{"metrics.prometheusRule.enabled=true,metrics.prometheusRule.alerts.RegcredAbsend.enabled=false", "there is no alert RegcredAbsend"},
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
