package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// roleNamed is a ClusterRole of a file of config/roles.
func roleNamed(t *testing.T, file, name string) *rbacv1.ClusterRole {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "roles", file))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		r := &rbacv1.ClusterRole{}
		if err := yaml.Unmarshal([]byte(document), r); err != nil {
			t.Fatal(err)
		}
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("%s has no ClusterRole %s", file, name)
	return nil
}

// bind gives a user the roles in the whole cluster.
func bind(t *testing.T, user string, roles ...*rbacv1.ClusterRole) string {
	t.Helper()
	_, kubeconfig, err := cp.AddUser(user, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles {
		create(t, r)
		create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user + "-" + r.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: r.Name}})
	}
	return kubeconfig
}

// A viewer sees all but what Secrets hold, and is told so.
func TestWhatAViewerSees(t *testing.T) {
	namespace := seedWhy(t)
	viewer := roleNamed(t, "roles.yaml", "regcred-viewer")
	for _, r := range viewer.Rules {
		if slices.Contains(r.Resources, "secrets") || slices.Contains(r.Resources, "*") {
			t.Errorf("the viewer may read Secrets: %v", r)
		}
	}
	kubeconfig := bind(t, "a-viewer", viewer)
	if r := as(t, kubeconfig, "", "status"); !strings.Contains(r.stdout, "regcred/live -n team-a") || !strings.Contains(r.stdout, "not read: secrets in all namespaces") {
		t.Errorf("status: %+v", r)
	}
	if r := as(t, kubeconfig, "", "status", "--impact"); strings.Contains(r.stdout, "not start: ") {
		t.Errorf("Secrets that may not be read count as gone: %+v", r)
	}
	if r := as(t, kubeconfig, "", "why", "pod/no-route", "-n", namespace); r.code != cli.Findings || !strings.Contains(r.stdout, "Unreachable") || strings.Contains(r.stdout, "not read: nodes") {
		t.Errorf("why: %+v", r)
	}
	for _, kind := range []string{"pod", "deploy", "rs", "sts", "ds", "job", "cronjob"} {
		if r := as(t, kubeconfig, "", "why", kind+"/gone", "-n", namespace); !strings.Contains(r.stderr, "there is no "+kind+"/gone in namespace") {
			t.Errorf("why %s: %+v", kind, r)
		}
	}
	if r := as(t, kubeconfig, "", "audit"); r.code != cli.Undecided || strings.Count(r.stdout, "not read:") != 1 {
		t.Errorf("audit: %+v", r)
	}
}

// Nothing that doctor looks at is hidden from a viewer.
func TestAViewerIsEnoughForDoctor(t *testing.T) {
	installed(t, func(*appsv1.Deployment, *coordinationv1.Lease, *rbacv1.ClusterRole, *admissionv1.ValidatingAdmissionPolicyBinding) {
	})
	r := as(t, bind(t, "doctors-viewer", roleNamed(t, "roles.yaml", "regcred-viewer")), "", "doctor")
	if r.code != cli.Fine || strings.Contains(r.stdout, "not checked") {
		t.Errorf("%+v", r)
	}
}

// An auditor reads Secrets, too.
func TestWhatAnAuditorSees(t *testing.T) {
	seedWhy(t)
	kubeconfig := bind(t, "an-auditor", roleNamed(t, "roles.yaml", "regcred-viewer"), roleNamed(t, "auditor.yaml", "regcred-auditor"))
	if r := as(t, kubeconfig, "", "audit"); r.code != cli.Findings || strings.Contains(r.stdout, "not read:") || !strings.Contains(r.stdout, "RC301 error secret/broken -n team-a") {
		t.Errorf("%+v", r)
	}
}

// The sample of a Job has every right that its command needs, and no other.
func TestTheSampleOfAnAuditRuns(t *testing.T) {
	seedWhy(t)
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "audit.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kubeconfig string
	var job batchv1.CronJob
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		var binding rbacv1.ClusterRoleBinding
		if err := yaml.Unmarshal([]byte(document), &binding); err != nil {
			t.Fatal(err)
		}
		switch binding.Kind {
		case "ClusterRoleBinding":
			create(t, &binding)
			if s := binding.Subjects[0]; kubeconfig == "" {
				_, kubeconfig, err = cp.AddUser("system:serviceaccount:"+s.Namespace+":"+s.Name, []string{"system:serviceaccounts"})
			}
		case "CronJob":
			err = yaml.UnmarshalStrict([]byte(document), &job)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	create(t, roleNamed(t, "roles.yaml", "regcred-viewer"))
	create(t, roleNamed(t, "auditor.yaml", "regcred-auditor"))
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	r := as(t, kubeconfig, "", pod.Containers[0].Args...)
	if r.code != cli.Findings || strings.Contains(r.stdout, "not read:") || !strings.Contains(r.stdout, "RC301 error secret/broken -n team-a") {
		t.Errorf("%+v", r)
	}
	if bound := "system:serviceaccount:" + job.Namespace + ":" + pod.ServiceAccountName; !strings.Contains(kubeconfig, bound) {
		t.Errorf("the Job runs as %s, who is bound to nothing", bound)
	}
}
