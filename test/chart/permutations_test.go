package chart

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func permutation(name string) string {
	return filepath.Join(world.Root, "charts", "regcred", "ci", name+".yaml")
}

// TestTheClusterHoldsWhatIsRendered: Argo CD compares the two. What it does not know the defaults of must be the same to the letter; of the
// rest nothing may be changed or dropped.
func TestTheClusterHoldsWhatIsRendered(t *testing.T) {
	installCRDs(t)
	installForeign(t)
	namespace(t, "regcred-system", nil)
	objects := documents(t, render(t, "--values", permutation("argocd")))
	objects = slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetAnnotations()["helm.sh/hook"] != "" })
	kept := dryRun(t, objects)
	if len(kept) != len(objects) {
		t.Fatalf("%d objects rendered, %d kept", len(objects), len(kept))
	}
	// Kinds whose defaults Argo CD knows, and ours, whose defaults nobody writes down.
	defaulted := []string{"Deployment", "Service", "ClusterRegistryCredential", "ServiceAccount"}
	for i, want := range objects {
		got := kept[i]
		for _, field := range []string{"uid", "creationTimestamp", "generation", "managedFields", "resourceVersion"} {
			unstructured.RemoveNestedField(got.Object, "metadata", field)
		}
		delete(got.Object, "status")
		name := want.GetKind() + " " + want.GetName()
		if slices.Contains(defaulted, want.GetKind()) {
			if lost := missing("", want.Object, got.Object); len(lost) > 0 {
				t.Errorf("%s: the cluster does not hold %q", name, lost)
			}
			continue
		}
		if diff := cmp.Diff(want.Object, got.Object); diff != "" {
			t.Errorf("%s (-rendered +kept):\n%s", name, diff)
		}
	}
}

// missing are the paths of what is in one and not, or not so, in the other.
func missing(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		var lost []string
		for _, key := range slices.Sorted(maps.Keys(w)) {
			lost = append(lost, missing(path+"."+key, w[key], g[key])...)
		}
		return lost
	case []any:
		g, _ := got.([]any)
		if len(w) != len(g) {
			return []string{path}
		}
		var lost []string
		for i := range w {
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
		}
		return lost
	default:
		if !cmp.Equal(want, got) {
			return []string{path}
		}
		return nil
	}
}

// TestOpenShiftChoosesUsersAndGroups: its constraint restricted-v2 refuses a pod that does, and some fields altogether.
func TestOpenShiftChoosesUsersAndGroups(t *testing.T) {
	for _, name := range []string{"default", "openshift", "everything"} {
		for _, o := range documents(t, render(t, "--values", permutation(name))) {
			if kind := o.GetKind(); kind != "Deployment" && kind != "Job" && kind != "Pod" {
				continue
			}
			pod := podOf(t, o).Spec
			if s := pod.SecurityContext; s != nil && (s.RunAsUser != nil || s.RunAsGroup != nil || s.FSGroup != nil || len(s.SupplementalGroups) > 0) {
				t.Errorf("%s: %s chooses %+v", name, o.GetKind(), s)
			}
			for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
				if s := c.SecurityContext; s == nil || s.RunAsUser != nil || s.RunAsGroup != nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
					t.Errorf("%s: container %s of %s has %+v", name, c.Name, o.GetKind(), s)
				}
			}
			if pod.HostNetwork || slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil }) {
				t.Errorf("%s: %s uses the host", name, o.GetKind())
			}
			if name == "openshift" && pod.SecurityContext != nil {
				t.Errorf("null does not leave out podSecurityContext: %+v", pod.SecurityContext)
			}
		}
	}
}

func TestTheChartServesAnUmbrella(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(`apiVersion: v2
name: umbrella
version: 1.0.0
dependencies:
- {name: regcred, version: "*", repository: "file://`+world.Root+`/charts/regcred", condition: regcred.enabled}
`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "values.yaml"), []byte(`global: {imageRegistry: mirror.example, imagePullSecrets: [mirror], storageClass: fast}
regcred: {namespaceOverride: platform, commonLabels: {team: platform}, x-anchor: {a: b}}
`), 0o600))
	mustHelm(t, "dependency", "update", dir)
	objects := documents(t, mustHelm(t, "template", "all", dir, "--namespace", "apps"))
	if len(objects) < 10 {
		t.Fatalf("%d objects only", len(objects))
	}
	for _, o := range objects {
		if ns := o.GetNamespace(); ns != "" && ns != "platform" {
			t.Errorf("%s %s is in namespace %s", o.GetKind(), o.GetName(), ns)
		}
		if o.GetKind() != "CustomResourceDefinition" && o.GetLabels()["team"] != "platform" {
			t.Errorf("%s %s has not the common labels", o.GetKind(), o.GetName())
		}
		if o.GetKind() == "Deployment" {
			pod := podOf(t, o).Spec
			if got := pod.Containers[0].Image; got != "mirror.example/regcred/regcred:v0.1.0" {
				t.Errorf("image %s", got)
			}
			if diff := cmp.Diff([]corev1.LocalObjectReference{{Name: "mirror"}}, pod.ImagePullSecrets); diff != "" {
				t.Errorf("pull Secrets (-want +got):\n%s", diff)
			}
		}
	}
	if out := documents(t, mustHelm(t, "template", "all", dir, "--set", "regcred.enabled=false")); len(out) > 0 {
		t.Errorf("a chart that is not enabled renders %d objects", len(out))
	}
}

// controller is the container of the Deployment.
func controller(t *testing.T, set string) corev1.Container {
	t.Helper()
	for _, o := range documents(t, render(t, "--set", set, "--show-only", "templates/deployment.yaml")) {
		return podOf(t, o).Spec.Containers[0]
	}
	t.Fatal("no Deployment")
	return corev1.Container{}
}

func TestGoIsToldItsMemory(t *testing.T) {
	for set, want := range map[string]string{
		"resources.limits.memory=256Mi":                      "241591910",
		"resources.limits.memory=1.5Gi":                      "1449551462",
		"resources.limits.memory=200M":                       "180000000",
		"resources.limits.memory=268435456":                  "241591910",
		"resources.limits=null":                              "",
		"resources.limits.memory=1Ei":                        "", // of no use, and no reason to fail
		"extraEnv[0].name=GOMEMLIMIT,extraEnv[0].value=1GiB": "1GiB",
	} {
		got := ""
		for _, e := range controller(t, set).Env {
			if e.Name == "GOMEMLIMIT" {
				got += e.Value
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", set, got, want)
		}
	}
}

func TestTheProvidersFlagsAreThoseOfTheValues(t *testing.T) {
	none := controller(t, "replicas=1").Args
	var got []string
	for _, arg := range controller(t, "acr.hostSuffixes={a.example.com,b.example.com},"+
		"acr.clouds[0].suffix=c.example.com,acr.clouds[0].authority=https://login.example.com,acr.clouds[0].audience=api://x,acr.clouds[0].resource=https://r.example.com,"+
		"artifactRegistry.universes.s3nsapis\\.fr=s3nsregistry.fr,artifactory.awsPlatforms={https://jfrog.example.com},"+
		"artifactory.audiences.https://acme\\.jfrog\\.io={jfrog,acme},"+
		"registryRealms.registry\\.example\\.com:5000={gitlab.example.com,login.example.com}").Args {
		if !slices.Contains(none, arg) {
			got = append(got, arg)
		}
	}
	want := []string{
		"--acr-host-suffixes=a.example.com,b.example.com",
		"--azure-clouds=c.example.com=https://login.example.com,api://x,https://r.example.com",
		"--google-universes=s3nsapis.fr=s3nsregistry.fr",
		"--artifactory-audiences=https://acme.jfrog.io=jfrog,https://acme.jfrog.io=acme",
		"--artifactory-aws-platforms=https://jfrog.example.com",
		"--registry-realms=registry.example.com:5000=gitlab.example.com,registry.example.com:5000=login.example.com",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheImagesNameIsThatOfTheValues(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	for set, want := range map[string]string{
		"image.tag=v1":                                                 "ghcr.io/regcred/regcred:v1",
		"image.tag=v1,image.digest=" + digest:                          "ghcr.io/regcred/regcred:v1@" + digest,
		"global.imageRegistry=localhost:5000":                          "localhost:5000/regcred/regcred:v0.1.0",
		"global.imageRegistry=m.example/hub":                           "m.example/hub/regcred/regcred:v0.1.0",
		"global.imageRegistry=m.example,image.repository=mine/regcred": "m.example/mine/regcred:v0.1.0",
	} {
		if got := controller(t, set).Image; got != want {
			t.Errorf("%s: %s, want %s", set, got, want)
		}
	}
}

func TestAlertsFollowTheValues(t *testing.T) {
	for _, c := range []struct{ values, absent, conflict, runbooks string }{
		{"argocd", "5m critical", "5m warning", "https://github.com/regcred/regcred/blob/v0.1.0/docs/runbooks/"},
		{"monitoring", "15m warning", "", "https://wiki.example/runbooks/"},
	} {
		got := map[string]string{}
		for _, o := range documents(t, render(t, "--values", permutation(c.values), "--show-only", "templates/monitoring.yaml")) {
			if o.GetKind() == "ConfigMap" {
				board, _, _ := unstructured.NestedString(o.Object, "data", "regcred.json")
				if strings.Contains(board, "blob/main") {
					t.Errorf("%s: the dashboard links to runbooks of another version", c.values)
				}
				continue
			}
			groups, _, _ := unstructured.NestedSlice(o.Object, "spec", "groups")
			for _, g := range groups {
				rules, _, _ := unstructured.NestedSlice(g.(map[string]any), "rules")
				for _, r := range rules {
					name, _, _ := unstructured.NestedString(r.(map[string]any), "alert")
					wait, _, _ := unstructured.NestedString(r.(map[string]any), "for")
					labels, _, _ := unstructured.NestedStringMap(r.(map[string]any), "labels")
					annotations, _, _ := unstructured.NestedStringMap(r.(map[string]any), "annotations")
					got[name] = wait + " " + labels["severity"]
					if annotations["runbook_url"] != c.runbooks+name+".md" {
						t.Errorf("%s: runbook of %s: %s", c.values, name, annotations["runbook_url"])
					}
					if c.values == "monitoring" && labels["team"] != "platform" {
						t.Errorf("%s has labels %v", name, labels)
					}
				}
			}
		}
		if got["RegcredAbsent"] != c.absent || got["RegcredSecretConflict"] != c.conflict {
			t.Errorf("%s: %v", c.values, got)
		}
	}
}
