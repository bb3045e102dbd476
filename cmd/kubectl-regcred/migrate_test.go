package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/test/controlplane"
)

func TestMigratePrintsThePlanAndChangesNothing(t *testing.T) {
	seed(t, "migrate.yaml")
	since := time.Now()
	r := run(t, "migrate")
	golden(t, "migrate.sh", r.stdout)
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

// What is written for Git is what the API server takes, and what sh can read.
func TestMigrateWritesFiles(t *testing.T) {
	seed(t, "migrate.yaml")
	dir := filepath.Join(t.TempDir(), "git")
	if r := run(t, "migrate", "--output-dir", dir); r.code != cli.Fine {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{"credentials.yaml", "steps.sh"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "-f", filepath.Join(dir, "credentials.yaml")); err != nil || strings.Count(string(out), "created") != 2 {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(dir, "steps.sh")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if r := run(t, "migrate", "--output-dir", dir); r.code != cli.Failure || !strings.Contains(r.stderr, "--force replaces it") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "migrate", "--output-dir", dir, "--force"); r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
}

func TestMigrateOfNothing(t *testing.T) {
	if r := run(t, "migrate"); r.code != cli.Fine || r.stdout != "Nothing was found that keeps pull Secrets fresh.\n" {
		t.Errorf("%+v", r)
	}
	_, nobody, err := cp.AddUser("migrateless", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "", "migrateless", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"list"}})
	if r := as(t, nobody, "", "migrate"); r.code != cli.Undecided || !strings.Contains(r.stdout, "# not read: secrets in all namespaces") {
		t.Errorf("%+v", r)
	}
}

// Whoever writes a pull Secret chooses its keys: they stay values in the credential and in the steps.
func TestMigrateRunsNothingOfASecret(t *testing.T) {
	dir := t.TempDir()
	for n, evil := range evils {
		config, err := json.Marshal(map[string]any{"auths": map[string]any{
			"acme.azurecr.io": map[string]string{"auth": "YTpi"}, evil + ".azurecr.io": map[string]string{"auth": "YTpi"}, evil: map[string]string{"auth": "YTpi"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		create(t, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprint("hostile-", n), Annotations: map[string]string{"reflector.v1.k8s.emberstack.com/reflects": "infra/" + evil}},
			Type:       corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
		})
	}
	out := filepath.Join(dir, "git")
	printed, written := run(t, "migrate"), run(t, "migrate", "--output-dir", out)
	if printed.code != cli.Fine || written.code != cli.Fine || strings.Contains(printed.stdout+written.stdout, "\x1b") {
		t.Fatalf("%+v\n%+v", printed, written)
	}
	manifests, err := os.ReadFile(filepath.Join(out, "credentials.yaml"))
	if err != nil || !strings.Contains(string(manifests), "acme.azurecr.io") {
		t.Fatalf("%v: there is no credential: %s", err, manifests)
	}
	for document := range strings.SplitSeq(string(manifests), "\n---\n") {
		var o struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &o); err != nil || o.Kind == "Evil" {
			t.Errorf("%v: %s", err, document)
		}
	}
	steps, err := os.ReadFile(filepath.Join(out, "steps.sh"))
	if err != nil || !strings.Contains(string(steps), "kubectl apply") || !strings.Contains(printed.stdout, "touch touched") {
		t.Fatalf("%v: nothing is told of the keys: %s\n%s", err, printed.stdout, steps)
	}
	inert(t, string(steps))
}
