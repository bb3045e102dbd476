package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/test/controlplane"
)

func TestStatusOfAll(t *testing.T) {
	seedStatus(t)
	r := run(t)
	golden(t, "status.txt", r.stdout)
	if r.code != cli.Findings || r.stderr != "" {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	if again := run(t, "status", "-A"); again != r {
		t.Errorf("status -A says something else: %+v", again)
	}
	golden(t, "status-wide.txt", run(t, "-n", "team-a", "-o", "wide").stdout)
	if r := run(t, "--exit-zero"); r.code != cli.Fine {
		t.Errorf("--exit-zero ends with %d", r.code)
	}
	if r := run(t, "--failing"); strings.Contains(r.stdout, "registry-pull") || !strings.Contains(r.stdout, "shared") {
		t.Errorf("--failing shows:\n%s", r.stdout)
	}
}

func TestStatusIsForProgramsToo(t *testing.T) {
	seedStatus(t)
	r := run(t, "status", "cregcred/shared", "-o", "json")
	var report struct {
		Credentials []struct {
			State, Reason string
			Failures      []v1alpha1.FailureGroup
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || len(report.Credentials) != 1 {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if c := report.Credentials[0]; c.State != "Failing" || c.Reason != v1alpha1.ReasonPartial || c.Failures[0].Namespaces[0] != "team-b" {
		t.Errorf("%+v", c)
	}
	if r := run(t, "status", "registry-pull", "-o", "yaml"); r.code != cli.Fine || !strings.Contains(r.stdout, "state: Fine\n") {
		t.Errorf("%+v", r)
	}
}

// What status costs is what it says: two lists of credentials and one of Secrets, as metadata.
func TestStatusCostsThreeRequests(t *testing.T) {
	seedStatus(t)
	since := time.Now()
	run(t)
	requests, err := cp.AuditRequests(since, func(r controlplane.AuditRequest) bool { return strings.HasPrefix(r.UserAgent, "kubectl-regcred/") })
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != 3 {
		t.Errorf("%d requests: %+v", len(requests), requests)
	}
}

func TestNames(t *testing.T) {
	seedStatus(t)
	create(t, &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "old"}, Spec: v1alpha1.ClusterCredentialSpec{
		CredentialSpec: v1alpha1.CredentialSpec{Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}},
	}})
	for argument, want := range map[string]string{
		"old":           "old is the name of two credentials: write regcred/old or cregcred/old",
		"shred":         "there is no credential shred in namespace team-b: did you mean cregcred/shared?",
		"regcred/poll":  "there is no credential poll in namespace team-b: did you mean regcred/pull -n team-a?",
		"secret/x":      `"secret/x" names no credential: write regcred/NAME, cregcred/NAME or NAME`,
		"a\x1b[31mb":    `there is no credential a\x1b[31mb in namespace team-b`,
		"cregcred/pull": "there is no credential pull in the cluster: did you mean regcred/pull",
		"registry":      "did you mean cregcred/registry-pull?",
	} {
		r := run(t, "status", argument, "-n", "team-b")
		if r.code != cli.Failure || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%q: %+v, want %q", argument, r, want)
		}
	}
}

// What comes near nothing is no more than not there, and a command that is mistyped is told.
func TestNamesThatAreFar(t *testing.T) {
	seedStatus(t)
	if r := run(t, "status", "completely-other", "-n", "team-b"); r.stderr != "error: there is no credential completely-other in namespace team-b\n" {
		t.Errorf("%+v", r)
	}
	if r := run(t, "audti", "-n", "team-b"); r.code != cli.Failure || !strings.HasSuffix(r.stderr, "; if a command is meant: kubectl regcred audit\n") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "status", "audti", "-n", "team-b"); strings.Contains(r.stderr, "command") {
		t.Errorf("%+v", r)
	}
}

func TestUsageErrorsEndWith2(t *testing.T) {
	for _, args := range [][]string{{"status", "a", "b"}, {"--no-such-flag"}, {"-o", "xml"}, {"--wait=green"}, {"refresh"}, {"refresh", "x", "--all"}, {"refresh", "x", "--expired"},
		{"override", "x"}, {"override", "x", "--username", "u", "--for", "169h"}, {"override", "x", "--username", "u:v", "--for", "1h"}, {"suspend"}, {"-v=high"}} {
		if r := run(t, args...); r.code != cli.Failure || r.stderr == "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestNoClusterIsASentence(t *testing.T) {
	r := as(t, "/no/such/kubeconfig", "")
	if r.code != cli.Failure || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%+v", r)
	}
}

// Who may read nothing is told so, and that nothing is known.
func TestStatusWithoutRights(t *testing.T) {
	seedStatus(t)
	_, nobody, err := cp.AddUser("nobody", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := as(t, nobody, "", "-n", "team-a")
	if r.code != cli.Undecided || !strings.Contains(r.stdout, "not read: registrycredentials in namespace team-a (needs the right to list them)") {
		t.Errorf("%+v", r)
	}
}

// Who may read one namespace sees that one.
func TestStatusWithTheRightsOfATenant(t *testing.T) {
	seedStatus(t)
	_, tenant, err := cp.AddUser("tenant", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "team-a", "tenant", rbacv1.PolicyRule{APIGroups: []string{"regcred.dev"}, Resources: []string{"registrycredentials"}, Verbs: []string{"list", "watch", "get"}})
	r := as(t, tenant, "", "-n", "team-a")
	golden(t, "status-tenant.txt", r.stdout)
	if r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
	if r := as(t, tenant, "", "status", "pull", "-n", "team-a", "--wait"); r.code != cli.Fine {
		t.Errorf("--wait: %+v", r)
	}
}

func TestStatusWaits(t *testing.T) {
	seedStatus(t)
	if r := run(t, "regcred/pull", "-n", "team-b", "--wait", "--timeout=1s"); r.code != cli.TimedOut || !strings.Contains(r.stderr, "not ready after 1s") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "cregcred/registry-pull", "--wait"); r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
}

// The Secrets tell of what the controller no longer does.
func TestStatusLooksAtTheSecretsThemselves(t *testing.T) {
	dead := serving(t, "dead")
	kept(t, "team-a", dead, v1alpha1.KindRegistryCredential, now.Add(-time.Hour))
	dead = credential(t, "dead")
	dead.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCurrent, LastTransitionTime: metav1.NewTime(now)}}
	if err := admin.Status().Update(t.Context(), dead); err != nil {
		t.Fatal(err)
	}
	p := pods{t, "team-a"}
	replica := func(change *corev1.Pod) {
		names("dead")(change)
		change.Labels = map[string]string{"pod-template-hash": "5d9f"}
		change.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-5d9f", UID: "a", Controller: new(true)}}
	}
	p.waits("web-5d9f-1", ecrHost+"/web", "", replica)
	p.waits("web-5d9f-2", ecrHost+"/web", "", replica)
	p.waits("other-registry", "ghcr.io/acme/app", "", names("dead"))
	p.waits("other-secret", ecrHost+"/app", "", names("live"))
	r := run(t, "status", "dead", "-n", "team-a", "--impact")
	golden(t, "status-impact.txt", r.stdout)
	if r.code != cli.Findings || strings.Count(r.stdout, "would not start: ") != 1 {
		t.Errorf("%+v", r)
	}
}
