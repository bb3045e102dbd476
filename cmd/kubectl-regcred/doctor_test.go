package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/doctor"
	"github.com/regcred/regcred/test/controlplane"
)

// role is the controller's ClusterRole, as config has it.
func role(t *testing.T) *rbacv1.ClusterRole {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rbacv1.ClusterRole{}
	if err := yaml.Unmarshal(raw, r); err != nil {
		t.Fatal(err)
	}
	r.Labels = map[string]string{"app.kubernetes.io/name": "regcred"}
	return r
}

// What doctor asks for is what the controller is given, and nothing that it is not.
func TestDoctorKnowsTheRules(t *testing.T) {
	rules := role(t).Rules
	if missing, off := doctor.Lacking(rules); len(missing)+len(off) > 0 {
		t.Errorf("config/rbac/role.yaml does not give %v, nor what is needed for %v", missing, off)
	}
	// The chart leaves this out unless recoverPods is set: nothing is wrong then.
	for i := range rules {
		rules[i].Resources = slices.DeleteFunc(rules[i].Resources, func(r string) bool { return r == "pods/eviction" })
	}
	if missing, off := doctor.Lacking(rules); len(missing) > 0 || !slices.Equal(off, []string{"recoverPods"}) {
		t.Errorf("without the right to evict %v is missing, and %v is off", missing, off)
	}
	rules = role(t).Rules
	given := 0
	for _, r := range rules {
		given += len(r.APIGroups) * len(r.Resources) * len(r.Verbs)
	}
	needed := 0
	for _, n := range doctor.Needs {
		needed += len(n.Verbs)
	}
	if given != needed {
		t.Errorf("the rules give %d rights, and doctor knows %d", given, needed)
	}
}

// installed puts an installation into the cluster that is well but for what change does.
func installed(t *testing.T, change func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding)) {
	t.Helper()
	labels := map[string]string{"app.kubernetes.io/name": "regcred"}
	meta := metav1.ObjectMeta{Namespace: "team-b", Name: "regcred", Labels: labels}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "regcred", Image: "ghcr.io/regcred/regcred:v0.1.0", Env: []corev1.EnvVar{{Name: "AWS_ROLE_ARN", Value: "arn:aws:iam::123456789012:role/" + canary}},
	}}}}
	deployment := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
		Status: appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 2}}
	renewed, holder := metav1.NewMicroTime(time.Now()), "regcred-7d9f_1"
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "regcred.regcred.dev"},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &renewed}}
	spec := admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{"CREATE"}, Rule: admissionv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"none"}},
		}}}},
		Validations: []admissionv1.Validation{{Expression: "true"}},
	}
	r := role(t)
	for _, known := range doctor.Policies {
		meta := metav1.ObjectMeta{Name: "regcred-" + known, Labels: labels}
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		}}
		if known == "secrets" {
			change(deployment, lease, r, binding)
		}
		create(t, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: spec})
		create(t, binding)
	}
	create(t, deployment)
	create(t, lease)
	create(t, r)
	create(t, &corev1.Pod{ObjectMeta: meta, Spec: template.Spec})
}

func TestDoctorOfAHealthyInstallation(t *testing.T) {
	installed(t, func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding) {
	})
	since := time.Now()
	r := run(t, "doctor")
	golden(t, "doctor.txt", withoutClock(r.stdout))
	if r.code != cli.Fine || strings.Contains(r.stdout, canary) {
		t.Errorf("%+v", r)
	}
	writes, err := cp.AuditRequests(since, func(r controlplane.AuditRequest) bool {
		return strings.HasPrefix(r.UserAgent, "kubectl-regcred/") && r.Verb != "get" && r.Verb != "list"
	})
	if err != nil || len(writes) > 0 {
		t.Errorf("it writes: %+v, %v", writes, err)
	}
}

// withoutClock leaves out how far the clock of the test is from the API server's.
func withoutClock(text string) string {
	kept, _, _ := strings.Cut(text, "-   clock: ")
	_, rest, _ := strings.Cut(text, "that much wrong\n")
	return kept + rest
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding)
		says   string
	}{
		"no replica is ready and nobody leads": {func(d *appsv1.Deployment, l *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			d.Status.ReadyReplicas, l.Spec.HolderIdentity = 0, nil
		}, "bad controller: Deployment team-b/regcred: 0 of 2 replicas ready"},
		"the definitions are older": {func(d *appsv1.Deployment, _ *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			d.Spec.Template.Spec.Containers[0].Image = "ghcr.io/regcred/regcred:v7.1.0"
		}, "bad versions: the CRDs are of v0.1.0 and the controller of v7.1.0"},
		"the leader is silent": {func(_ *appsv1.Deployment, l *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			l.Spec.RenewTime.Time = time.Now().Add(-time.Hour)
		}, "bad leader: regcred-7d9f_1 said so last"},
		"the leader's clock is ahead": {func(_ *appsv1.Deployment, l *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			l.Spec.RenewTime.Time = time.Now().Add(time.Hour)
		}, "bad leader: the clock of regcred-7d9f_1 is"},
		"nobody leads": {func(_ *appsv1.Deployment, l *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			l.Spec.HolderIdentity = nil
		}, "bad leader: nobody holds Lease"},
		"a rule is missing": {func(_ *appsv1.Deployment, _ *coordinationv1.Lease, r *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			for i := range r.Rules {
				if r.Rules[i].Resources[0] == "serviceaccounts" {
					r.Rules[i].Verbs = []string{"list", "watch"}
				}
			}
		}, "bad rules: ClusterRole regcred lacks patch serviceaccounts"},
		"a policy only warns": {func(_ *appsv1.Deployment, _ *coordinationv1.Lease, _ *rbacv1.ClusterRole, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}, "bad policy regcred-secrets: no binding lets it deny anything"},
	} {
		t.Run(name, func(t *testing.T) {
			installed(t, c.change)
			if r := run(t, "doctor"); r.code != cli.Findings || !strings.Contains(r.stdout, c.says) {
				t.Errorf("exit code %d, want %q:\n%s%s", r.code, c.says, r.stdout, r.stderr)
			}
		})
	}
}

// A controller that leads runs, whatever its Deployment reports: as a process beside the cluster, or where nobody reports on pods.
func TestDoctorOfAControllerThatRunsElsewhere(t *testing.T) {
	installed(t, func(d *appsv1.Deployment, _ *coordinationv1.Lease, _ *rbacv1.ClusterRole, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
		d.Status = appsv1.DeploymentStatus{}
	})
	if r := run(t, "doctor", "-o", "json"); r.code != cli.Fine || !strings.Contains(r.stdout, "0 of 0 replicas ready") || !strings.Contains(r.stdout, "yet somebody leads") {
		t.Errorf("%+v", r)
	}
}

func TestDoctorCountsWhatFails(t *testing.T) {
	installed(t, func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding) {
	})
	seedStatus(t)
	if r := run(t, "doctor"); r.code != cli.Findings || !strings.Contains(r.stdout, "bad credentials: 5 credentials, 1 not ready, 1 secretconflict, 1 suspended") {
		t.Errorf("%+v", r)
	}
}

func TestDoctorWithoutRights(t *testing.T) {
	_, nobody, err := cp.AddUser("doctorless", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := as(t, nobody, "", "doctor")
	if r.code != cli.Undecided || strings.Count(r.stdout, "not checked (needs the right to") < 6 {
		t.Errorf("%+v", r)
	}
}

// The policies that doctor looks for are those that there are.
func TestDoctorKnowsThePolicies(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "policy", "[^k]*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_", "-"))
	}
	if !slices.Equal(names, doctor.Policies) {
		t.Errorf("config/policy has %q, and doctor knows %q", names, doctor.Policies)
	}
}

// Of a fence that has a gap, the gap is told, for each installation.
func TestDoctorMissesAPolicy(t *testing.T) {
	installed(t, func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding) {
	})
	remove(t, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "regcred-tokens"}})
	r := run(t, "doctor")
	if r.code != cli.Findings || strings.Count(r.stdout, "bad policy ") != 1 || !strings.Contains(r.stdout, "bad policy regcred-tokens: it is not installed, and others are") {
		t.Errorf("%+v", r)
	}
}

// A policy that links and is bound to nothing links nothing.
func TestDoctorMissesTheBindingOfALinkPolicy(t *testing.T) {
	installed(t, func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding) {
	})
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "policy", "link", "link_namespaced.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(raw), "\n---\n")
	policy, binding := &admissionv1.MutatingAdmissionPolicy{}, &admissionv1.MutatingAdmissionPolicyBinding{}
	if err := errors.Join(yaml.UnmarshalStrict([]byte(first), policy), yaml.UnmarshalStrict([]byte(second), binding)); err != nil {
		t.Fatal(err)
	}
	create(t, policy)
	if r := run(t, "doctor"); r.code != cli.Findings || !strings.Contains(r.stdout, "bad link policy regcred-link-namespaced: no binding lets it link anything") {
		t.Errorf("%+v", r)
	}
	create(t, binding)
	kubeconfig := bind(t, "links-viewer", roleNamed(t, "roles.yaml", "regcred-viewer"))
	if r := as(t, kubeconfig, "", "doctor"); r.code != cli.Fine || !strings.Contains(r.stdout, "ok  link policy regcred-link-namespaced: bound\n") {
		t.Errorf("%+v", r)
	}
}
