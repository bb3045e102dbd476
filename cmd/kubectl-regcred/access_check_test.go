package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// clouds are programs in the place of the clouds' command lines, which answer as those are documented to, and note what they are asked.
func clouds(t *testing.T, answers map[string]string) (asked func() string) {
	t.Helper()
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "asked")
	for name, answer := range answers {
		script := "#!/bin/sh\necho " + name + " \"$@\" >> '" + log + "'\n"
		if answer == "" {
			script += "echo '" + canary + "' >&2\nexit 254\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script+"echo '"+answer+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return func() string {
		raw, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(raw)
	}
}

const (
	awsAllows  = `{"EvaluationResults":[{"EvalActionName":"ecr:GetAuthorizationToken","EvalDecision":"allowed"}]}`
	awsRefuses = `{"EvaluationResults":[{"EvalActionName":"ecr:GetAuthorizationToken","EvalDecision":"implicitDeny"}]}`
	googleHas  = `{"bindings":[{"role":"roles/artifactregistry.reader","members":["serviceAccount:pull@my-project.iam.gserviceaccount.com"]}]}`
	azureHas   = `[{"roleDefinitionName":"AcrPull","scope":"/subscriptions/1/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/acme"}]`
)

const checked = `apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata: {name: checked, namespace: team-a}
spec:
  registries:
  - name: aws
    ecr: {region: eu-west-1, accounts: ["123456789012"], roleARN: "arn:aws:iam::123456789012:role/pull"}
    verify: {repository: team/app}
  - name: google
    artifactRegistry: {hosts: [europe-west1-docker.pkg.dev], project: my-project, repositories: [apps], serviceAccount: pull@my-project.iam.gserviceaccount.com}
  - name: azure
    acr: {registry: acme.azurecr.io, clientID: 72f988bf-86f1-41af-91ab-2d7cd011db47}
`

func TestAccessAsksTheClouds(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string]string
		code    int
		want    []string
	}{
		"all is well":  {map[string]string{"aws": awsAllows, "gcloud": googleHas, "az": azureHas}, cli.Fine, []string{"ok  google: repository apps in europe-west1", "AcrPull of the registry"}},
		"aws refuses":  {map[string]string{"aws": awsRefuses, "gcloud": googleHas, "az": azureHas}, cli.Findings, []string{"bad aws: ecr:GetAuthorizationToken", "implicitDeny"}},
		"nobody named": {map[string]string{"aws": awsAllows, "gcloud": `{}`, "az": `[]`}, cli.Findings, []string{"?   google:", "may be inherited", "bad azure:"}},
		"wider scope":  {map[string]string{"aws": awsAllows, "gcloud": googleHas, "az": `[{"roleDefinitionName":"AcrPull","scope":"/subscriptions/1"}]`}, cli.Undecided, []string{"look whether the registry is in it"}},
		"no programs":  {nil, cli.Undecided, []string{"aws is not on the PATH", "gcloud is not on the PATH", "az is not on the PATH"}},
		"it fails":     {map[string]string{"aws": "", "gcloud": googleHas, "az": azureHas}, cli.Undecided, []string{"aws ended with exit code 254"}},
		"no JSON":      {map[string]string{"aws": "<html>", "gcloud": "1", "az": "x"}, cli.Undecided, []string{"the answer cannot be parsed"}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := clouds(t, c.answers)
			r := as(t, cp.Kubeconfig(), checked, "access", "-f", "-", "--check")
			flat := strings.Join(strings.Fields(r.stdout), " ")
			for _, want := range c.want {
				if r.code != c.code || !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
					t.Errorf("exit code %d, want %d and %q:\n%s%s", r.code, c.code, want, r.stdout, r.stderr)
				}
			}
			if strings.Contains(r.stdout+r.stderr, canary) {
				t.Error("what a cloud has answered is shown")
			}
			for line := range strings.Lines(asked()) {
				if !strings.Contains(strings.ReplaceAll(r.stderr, "'", ""), "+ "+line) {
					t.Errorf("not shown before it was run: %s", line)
				}
			}
		})
	}
}

// The role of a ServiceAccount is in its annotation.
func TestAccessAsksAboutTheRoleOfTheServiceAccount(t *testing.T) {
	seedStatus(t)
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "ecr", Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/team-b"}}})
	asked := clouds(t, map[string]string{"aws": awsAllows})
	r := run(t, "access", "regcred/pull", "-n", "team-b", "--check", "-o", "json")
	var all []access.Access
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all) != 1 || len(all[0].Entries[0].Checks) == 0 {
		t.Errorf("%v: %+v", err, r)
	}
	if !strings.Contains(asked(), "--policy-source-arn=arn:aws:iam::123456789012:role/team-b ") {
		t.Errorf("asked: %s", asked())
	}
	if r := run(t, "access", "regcred/pull", "-n", "team-b", "--check", "-o", "terraform"); r.code != cli.Failure {
		t.Errorf("%+v", r)
	}
}

// What stands in a credential reaches no command line that might take it for an option or the name of a file.
func TestAccessAsksNothingOfAHostileCredential(t *testing.T) {
	template, err := os.ReadFile(filepath.Join("testdata", "access-hostile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	asked := clouds(t, map[string]string{"aws": awsAllows, "gcloud": googleHas, "az": azureHas})
	for _, evil := range []string{"--flags-file=/etc/passwd", "@/etc/passwd", "file:///etc/passwd", "$(id)", "'; id; '", "\x1b[31m", "a\nb"} {
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		manifest := strings.ReplaceAll(string(template), "EVIL", string(bytes.Trim(quoted, `"`)))
		if r := as(t, cp.Kubeconfig(), manifest, "access", "-f", "-", "--check"); r.code != cli.Undecided || strings.Contains(r.stdout+r.stderr, "\x1b") {
			t.Errorf("%q: %+v", evil, r)
		}
	}
	if got := asked(); got != "" {
		t.Errorf("asked: %s", got)
	}
}
