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

// Whatever stands in a credential, nothing of it is run and nothing is interpolated.
func TestAccessRunsNothingOfACredential(t *testing.T) {
	template, err := os.ReadFile(filepath.Join("testdata", "access-hostile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	touched := filepath.Join(t.TempDir(), "touched")
	for _, evil := range []string{"$(touch " + touched + ")", "`touch " + touched + "`", "'; touch " + touched + "; '", "${file(\"/etc/passwd\")}", "\x1b[31m", "%{if true}", "\"}\n"} {
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		manifest := strings.ReplaceAll(string(template), "EVIL", string(bytes.Trim(quoted, `"`)))
		shell := as(t, cp.Kubeconfig(), manifest, "access", "-f", "-")
		if shell.code != cli.Fine || strings.Contains(shell.stdout, "\x1b") {
			t.Fatalf("%q: %+v", evil, shell)
		}
		// The commands are defined away: what is left to run is what the values bring.
		harness := "aws() { :; }; gcloud() { :; }; az() { :; }; kubectl() { :; }; curl() { :; }\n" + shell.stdout
		cmd := exec.CommandContext(t.Context(), "bash", "-c", harness)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%q: %v: %s\n%s", evil, err, out, shell.stdout)
		}
		if _, err := os.Stat(touched); err == nil {
			t.Errorf("%q was run", evil)
		}
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
