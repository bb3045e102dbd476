package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

func TestAccess(t *testing.T) {
	from := []string{"access", "-f", "testdata/access.yaml", "--issuer=https://oidc.example.com/id/1"}
	r := run(t, from...)
	golden(t, "access.sh", r.stdout)
	if r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
	golden(t, "access.tf", run(t, append(from, "-o", "terraform")...).stdout)
	syntax := exec.CommandContext(t.Context(), "sh", "-n")
	syntax.Stdin = strings.NewReader(r.stdout)
	if out, err := syntax.CombinedOutput(); err != nil {
		t.Errorf("sh cannot read it: %v: %s", err, out)
	}
}

func TestAccessOfACredentialInTheCluster(t *testing.T) {
	seedStatus(t)
	r := run(t, "access", "regcred/pull", "-n", "team-b")
	if r.code != cli.Fine || !strings.Contains(r.stdout, "system:serviceaccount:team-b:ecr") || strings.Contains(r.stdout, "ISSUER-OF-THE-CLUSTER") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"access"}, {"access", "x", "-f", "y"}, {"access", "-f", "/no/such/file"}, {"access", "-f", "testdata/audit/clean/all.yaml"}} {
		if r := run(t, args...); r.code != cli.Failure {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// A cloud trusts the ServiceAccount of the namespace that the credential is going to: another's must never come in by a guess.
func TestAccessOfACredentialThatNamesNoNamespace(t *testing.T) {
	const spec = "\nmetadata: {name: pull}\nspec:\n  registries:\n  - {name: a, ecr: {region: eu-west-1}, identity: {serviceAccountRef: {name: ecr}}}\n"
	inContext := filepath.Join(t.TempDir(), "kubeconfig")
	config := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- {name: c, context: {cluster: x, user: x, namespace: team-c}}\n- {name: other, context: {cluster: x, user: x, namespace: team-o}}\n"
	if err := os.WriteFile(inContext, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind, kubeconfig, want string
		args                   []string
	}{
		{"RegistryCredential", cp.Kubeconfig(), "NAMESPACE", nil},
		{"RegistryCredential", cp.Kubeconfig(), "team-x", []string{"-n", "team-x"}},
		{"RegistryCredential", inContext, "team-c", nil},
		{"RegistryCredential", inContext, "team-o", []string{"--context=other"}},
		{"RegistryCredential", inContext, "team-x", []string{"-n", "team-x"}},
		{"ClusterRegistryCredential", inContext, "regcred-system", []string{"-n", "team-x"}},
	} {
		r := as(t, test.kubeconfig, "apiVersion: regcred.dev/v1alpha1\nkind: "+test.kind+spec, append([]string{"access", "-f", "-"}, test.args...)...)
		if r.code != cli.Fine || !strings.Contains(r.stdout, "system:serviceaccount:"+test.want+":ecr") || !strings.Contains(r.stdout, "--namespace="+test.want+"\n") {
			t.Errorf("%+v: %+v", test, r)
		}
	}
}

// Whatever stands in a credential, nothing of it is run and nothing is interpolated.
func TestAccessRunsNothingOfACredential(t *testing.T) {
	template, err := os.ReadFile(filepath.Join("testdata", "access-hostile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, evil := range evils {
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		manifest := strings.ReplaceAll(string(template), "EVIL", string(bytes.Trim(quoted, `"`)))
		shell := as(t, cp.Kubeconfig(), manifest, "access", "-f", "-")
		if shell.code != cli.Fine {
			t.Fatalf("%q: %+v", evil, shell)
		}
		inert(t, shell.stdout)
		tf := as(t, cp.Kubeconfig(), manifest, "access", "-f", "-", "-o", "terraform").stdout
		for line := range strings.Lines(tf) {
			for _, start := range []string{"${", "%{"} {
				if n := strings.Count(line, start); !strings.HasPrefix(line, "#") && n != strings.Count(line, start[:1]+start) {
					t.Errorf("%q is interpolated: %s", evil, line)
				}
			}
		}
		if strings.Contains(tf, "\x1b") {
			t.Errorf("%q reaches the terminal", evil)
		}
	}
}

func TestAccessForPrograms(t *testing.T) {
	var all []access.Access
	r := run(t, "access", "-f", "testdata/access.yaml", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all) != 2 || len(all[0].Entries) != 7 {
		t.Errorf("%v: %+v", err, all)
	}
}
