package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	tf := run(t, append(from, "-o", "terraform")...).stdout
	golden(t, "access.tf", tf)
	declared(t, tf)
	syntax := exec.CommandContext(t.Context(), "sh", "-n")
	syntax.Stdin = strings.NewReader(r.stdout)
	if out, err := syntax.CombinedOutput(); err != nil {
		t.Errorf("sh cannot read it: %v: %s", err, out)
	}
}

var (
	blocks     = regexp.MustCompile(`(?m)^(resource|data) "([a-z_]+)" "([A-Za-z0-9_]+)" \{$`)
	references = regexp.MustCompile(`(?m)^  [a-z_]+ = ((?:data\.)?[a-z_]+\.[A-Za-z0-9_]+)\.[a-z_]+$`)
)

// declared fails unless Terraform finds each block once, and each that is referred to.
func declared(t *testing.T, tf string) {
	t.Helper()
	all := map[string]bool{}
	for _, m := range blocks.FindAllStringSubmatch(tf, -1) {
		address := strings.TrimPrefix(m[1]+"."+m[2]+"."+m[3], "resource.")
		if all[address] {
			t.Errorf("%s is declared twice", address)
		}
		all[address] = true
	}
	found := references.FindAllStringSubmatch(tf, -1)
	for _, m := range found {
		if !all[m[1]] {
			t.Errorf("%s is not declared", m[1])
		}
	}
	if len(all) < 15 || len(found) < 8 {
		t.Errorf("%d blocks and %d references: %s", len(all), len(found), tf)
	}
}

// Who asks a cloud is made once, however many entries it is for: a second ServiceAccount or role of its name would be refused, and a second
// policy of one name would take the place of the first.
func TestAccessMakesNothingTwice(t *testing.T) {
	made := map[string]bool{}
	for line := range strings.Lines(run(t, "access", "-f", "testdata/access.yaml").stdout) {
		words := strings.Fields(line)
		for _, verb := range []string{"kubectl create serviceaccount", "kubectl annotate serviceaccount", "aws iam create-role", "aws iam put-role-policy", "aws iam put-user-policy"} {
			if !strings.HasPrefix(line, verb+" ") {
				continue
			}
			key := strings.Join(words[:min(len(words), 5)], " ")
			switch {
			case strings.Contains(verb, "put-"):
				key = strings.Join(words[:7], " ")
			case strings.Contains(verb, "annotate"):
				key += " " + strings.Split(words[5], "=")[0]
			}
			if made[key] {
				t.Errorf("made twice: %s", key)
			}
			made[key] = true
		}
	}
	if len(made) < 15 {
		t.Errorf("%d are made: %v", len(made), made)
	}
}

// A role on top needs three things: the ServiceAccount's own role, its right to become the other, and the other's trust in it.
func TestAccessOfARoleOnTop(t *testing.T) {
	const entry = "  - {name: a, ecr: {region: eu-west-1, accounts: [\"210987654321\"], roleARN: \"arn:aws:iam::210987654321:role/top\"}"
	const head = "apiVersion: regcred.dev/v1alpha1\nkind: ClusterRegistryCredential\nmetadata: {name: c}\nspec:\n  registries:\n"
	for name, c := range map[string]struct {
		identity string
		want     []string
	}{
		"of a ServiceAccount": {", identity: {serviceAccountRef: {name: p}}", []string{
			"create-role --role-name regcred-c-a ", "AssumeRoleWithWebIdentity", "eks.amazonaws.com/role-arn=arn:aws:iam::AWS-ACCOUNT:role/regcred-c-a",
			"put-role-policy --role-name regcred-c-a --policy-name regcred-c-a-assume", `"Resource":"arn:aws:iam::210987654321:role/top"`,
			"create-role --role-name top ", `"AWS":"arn:aws:iam::AWS-ACCOUNT:role/regcred-c-a"`, "put-role-policy --role-name top --policy-name regcred-c-a ",
		}},
		"of a Secret": {", identity: {secretRef: {name: p}}", []string{
			"put-user-policy --user-name IAM-USER --policy-name regcred-c-a-assume", `"AWS":"arn:aws:iam::AWS-ACCOUNT:user/IAM-USER"`, "create-role --role-name top ",
		}},
		"of the controller": {"", []string{
			"put-role-policy --role-name CONTROLLER-ROLE --policy-name regcred-c-a-assume", `"AWS":"arn:aws:iam::AWS-ACCOUNT:role/CONTROLLER-ROLE"`, "create-role --role-name top ",
		}},
	} {
		r := as(t, cp.Kubeconfig(), head+entry+c.identity+"}\n", "access", "-f", "-")
		for _, want := range c.want {
			if r.code != cli.Fine || !strings.Contains(r.stdout, want) {
				t.Errorf("%s: no %s in %+v", name, want, r)
			}
		}
	}
	r := as(t, cp.Kubeconfig(), head+"  - {name: a, ecr: {region: eu-west-1, accounts: [\"210987654321\"]}}\n", "access", "-f", "-")
	if !strings.Contains(r.stdout, "--role-name CONTROLLER-ROLE ") || strings.Contains(r.stdout, "create-role") {
		t.Errorf("the controller's role is not ours to name: %+v", r)
	}
}

// What is mistyped would be left out, and nobody would know.
func TestAccessOfWhatIsMalformed(t *testing.T) {
	const head = "apiVersion: regcred.dev/v1alpha1\nkind: RegistryCredential\nmetadata: {name: c}\n"
	const good = head + "spec: {registries: [{name: a, ecr: {region: eu-west-1}}]}\n"
	for manifest, want := range map[string]string{
		head + "spec: {registries: [{name: a, ecr: {regoin: eu-west-1}}]}\n":                                                 "regoin",
		good + "---\n" + head + "spec: {registries: 1}\n":                                                                    "registries",
		head + "spec: {registries: [{name: a}]}\n":                                                                           "registry a of regcred/c has no provider",
		strings.Replace(good, "kind: RegistryCredential", "kind: RegistryCredentials", 1):                                    "RegistryCredentials",
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: regcred.dev/v1alpha1, kind: RegistryCredential, spec: {x: 1}}\n": "spec.x",
	} {
		if r := as(t, cp.Kubeconfig(), manifest, "access", "-f", "-"); r.code != cli.Failure || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%s: %+v", manifest, r)
		}
	}
	list := "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Unknown}\n- {apiVersion: regcred.dev/v1alpha1, kind: RegistryCredential, metadata: {name: listed}, spec: {registries: [{name: a, ecr: {}}]}}\n"
	if r := as(t, cp.Kubeconfig(), "replicas: 2\n---\n"+good, "access", "-f", "-"); r.code != cli.Fine || r.stderr != "skipped: document 1 of stdin names no kind\n" || !strings.Contains(r.stdout, "regcred/c") {
		t.Errorf("%+v", r)
	}
	if r := as(t, cp.Kubeconfig(), list, "access", "-f", "-"); r.code != cli.Fine || !strings.Contains(r.stdout, "regcred/listed") {
		t.Errorf("%+v", r)
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
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all) != 2 || len(all[0].Entries) != 11 {
		t.Errorf("%v: %+v", err, all)
	}
}
