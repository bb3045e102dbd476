// Package gitops proves what the documentation promises of Argo CD and of kstatus, which Flux and others use: how healthy a credential is
// in every state.
package gitops

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
)

// credential is in generation 2, with a spec and a status.
func credential(t *testing.T, kind, spec, status string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	text := fmt.Sprintf("{apiVersion: regcred.dev/v1alpha1, kind: %s, metadata: {name: a, generation: 2}, spec: %s, status: %s}", kind, spec, status)
	if err := utilyaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// reporting is a status of the present generation with a condition.
func reporting(conditions ...string) string {
	return "{observedGeneration: 2, conditions: [" + strings.Join(conditions, ", ") + "]}"
}

func condition(kind, status, reason string) string {
	return fmt.Sprintf("{type: %s, status: %q, reason: %s, message: why, observedGeneration: 2}", kind, status, reason)
}

// states are the rows of the table in the documentation, each with the objects that it speaks of.
func states(t *testing.T) map[string][][2]string {
	t.Helper()
	const served, suspended = "{}", "{suspend: true}"
	rows := map[string][][2]string{
		"no report on the present spec": {{served, "{observedGeneration: -1}"}, {served, "{observedGeneration: 1, conditions: [" +
			condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonCurrent) + "]}"}},
		"`Ready=False`, `Progressing`": {{served, reporting(condition(v1alpha1.ConditionReady, "False", v1alpha1.ReasonProgressing))}},
	}
	for _, reason := range []string{v1alpha1.ReasonCurrent, v1alpha1.ReasonRefreshFailing, v1alpha1.ReasonPartial, v1alpha1.ReasonNoTargets} {
		row := "`Ready=True`, with any reason"
		rows[row] = append(rows[row], [2]string{served, reporting(condition(v1alpha1.ConditionReady, "True", reason))})
	}
	for _, reason := range failures(t) {
		row := "`Ready=False`, with any other reason"
		rows[row] = append(rows[row], [2]string{served, reporting(condition(v1alpha1.ConditionReady, "False", reason))})
		row = "`Stalled=True`"
		rows[row] = append(rows[row], [2]string{served, reporting(condition(v1alpha1.ConditionReady, "False", reason), condition(v1alpha1.ConditionStalled, "True", reason))})
	}
	for _, ready := range []string{"True", "False", "Unknown"} {
		rows["suspended, `Ready="+ready+"`"] = [][2]string{{suspended, reporting(condition(v1alpha1.ConditionReady, ready, v1alpha1.ReasonSuspended))}}
	}
	return rows
}

// failures are the reasons of Ready=False but Progressing and Suspended, as the code has them.
func failures(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../api/v1alpha1/conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(raw), "// The reasons of Ready=False")
	var reasons []string
	for _, match := range regexp.MustCompile(`(?m)^\tReason\w+ += "(\w+)"$`).FindAllStringSubmatch(list, -1) {
		if match[1] != v1alpha1.ReasonProgressing {
			reasons = append(reasons, match[1])
		}
	}
	if len(reasons) < 15 {
		t.Fatalf("found only %q", reasons)
	}
	return reasons
}

// promised is the table in the documentation: by state, what Argo CD and kstatus say.
func promised(t *testing.T) map[string][2]string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(raw), "| state | Argo CD | kstatus |\n|---|---|---|\n")
	if !ok {
		t.Fatal("docs/health.md has no table of states")
	}
	rows := map[string][2]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 {
			break
		}
		rows[strings.TrimSpace(cells[0])] = [2]string{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])}
	}
	return rows
}

func TestHealthIsWhatTheDocumentationPromises(t *testing.T) {
	table, tried := promised(t), states(t)
	if len(table) != len(tried) {
		t.Errorf("%d states are documented, and %d tried", len(table), len(tried))
	}
	for state, objects := range tried {
		want, ok := table[state]
		if !ok {
			t.Errorf("docs/health.md does not speak of: %s", state)
		}
		for _, of := range objects {
			for _, kind := range []string{v1alpha1.KindRegistryCredential, v1alpha1.KindClusterRegistryCredential} {
				o := credential(t, kind, of[0], of[1])
				computed, err := status.Compute(o)
				if err != nil || computed.Status.String() != want[1] {
					t.Errorf("%s: kstatus says %v, %v; want %s", state, computed, err, want[1])
				}
				if got := health(t, o); got.Status != want[0] || got.Message == "" {
					t.Errorf("%s, %v: Argo CD says %+v; want %s", state, of, got, want[0])
				}
			}
		}
	}
}

// customization is a value of the ConfigMap of Argo CD.
func customization(t *testing.T, what, kind string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cm corev1.ConfigMap
	if err := yaml.UnmarshalStrict(raw, &cm); err != nil {
		t.Fatal(err)
	}
	text := cm.Data["resource.customizations."+what+".regcred.dev_"+kind]
	if text == "" {
		t.Fatalf("no %s of %s", what, kind)
	}
	return text
}

type healthStatus struct{ Status, Message string }

func health(t *testing.T, o *unstructured.Unstructured) healthStatus {
	t.Helper()
	result, ok := run(t, customization(t, "health", o.GetKind()), o).(map[string]any)
	if !ok {
		t.Fatal("the script of health returns no table")
	}
	return healthStatus{fmt.Sprint(result["status"]), fmt.Sprint(result["message"])}
}

// actions are those of a kind, as Argo CD reads them.
type actions struct {
	Discovery   string `json:"discovery.lua"`
	Definitions []struct {
		Name   string `json:"name"`
		Action string `json:"action.lua"`
	} `json:"definitions"`
}

func TestActions(t *testing.T) {
	for _, kind := range []string{v1alpha1.KindRegistryCredential, v1alpha1.KindClusterRegistryCredential} {
		var of actions
		if err := yaml.UnmarshalStrict([]byte(customization(t, "actions", kind)), &of); err != nil {
			t.Fatal(err)
		}
		for spec, want := range map[string]map[string]bool{
			"{}":               {"refresh": true, "suspend": true, "resume": false},
			"{suspend: true}":  {"refresh": false, "suspend": false, "resume": true},
			"{suspend: false}": {"refresh": true, "suspend": true, "resume": false},
		} {
			offered, _ := run(t, of.Discovery, credential(t, kind, spec, "{}")).(map[string]any)
			if len(offered) != len(of.Definitions) {
				t.Errorf("%d actions are offered, and %d defined", len(offered), len(of.Definitions))
			}
			for name, enabled := range want {
				if action, _ := offered[name].(map[string]any); action == nil || action["disabled"] == enabled {
					t.Errorf("%s: %s is offered as %v", spec, name, action)
				}
			}
		}
		for _, action := range of.Definitions {
			after, _ := run(t, action.Action, credential(t, kind, "{secretName: b}", "{}")).(map[string]any)
			changed := &unstructured.Unstructured{Object: after}
			checkAction(t, action.Name, changed)
			if name, _, _ := unstructured.NestedString(after, "spec", "secretName"); name != "b" || changed.GetName() != "a" {
				t.Errorf("%s changes more than it says: %v", action.Name, after)
			}
		}
	}
}

func checkAction(t *testing.T, name string, changed *unstructured.Unstructured) {
	t.Helper()
	suspended, set, _ := unstructured.NestedBool(changed.Object, "spec", "suspend")
	requested := changed.GetAnnotations()[v1alpha1.AnnotationRefreshRequestedAt]
	switch name {
	case "refresh":
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).MatchString(requested) || set {
			t.Errorf("refresh: %q, %t", requested, set)
		}
	case "suspend", "resume":
		if !set || suspended != (name == "suspend") || requested != "" {
			t.Errorf("%s: %t %t %q", name, set, suspended, requested)
		}
	default:
		t.Errorf("an action that nobody has tried: %s", name)
	}
}
