package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/test/module"
)

// What is in a cluster with External Secrets' own kinds gives the same plan as the manifests that it was made from.
func TestMigrateFindsGenerators(t *testing.T) {
	file := filepath.Join("testdata", "generators.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(raw), "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		create(t, o)
	}
	r := run(t, "migrate")
	golden(t, "generators.sh", r.stdout)
	if files := run(t, "migrate", "--from", file); r.code != cli.Fine || files != r {
		t.Errorf("%+v\nof files: %+v", r, files)
	}

	dir := filepath.Join(t.TempDir(), "git")
	if r := run(t, "migrate", "--output-dir", dir); r.code != cli.Fine {
		t.Fatalf("%+v", r)
	}
	out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "-f", filepath.Join(dir, "credentials.yaml"))
	if err != nil || strings.Count(string(out), "created") != 3 {
		t.Errorf("%v: %s", err, out)
	}
	if r := run(t, "access", "-f", filepath.Join(dir, "credentials.yaml")); r.code != cli.Fine {
		t.Errorf("%+v", r)
	}

	_, nobody, err := cp.AddUser("generatorless", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "", "generatorless", rbacv1.PolicyRule{APIGroups: []string{"", "apps", "batch"}, Resources: []string{"secrets", "serviceaccounts", "deployments", "cronjobs"}, Verbs: []string{"list"}})
	if r := as(t, nobody, "", "migrate"); r.code != cli.Fine || strings.Count(r.stdout, "not read: ") != 1 || !strings.Contains(r.stdout, "ecrauthorizationtokens") {
		t.Errorf("%+v", r)
	}
}

// Whatever stands in a file, nothing of it is run, and it is named if it cannot be read.
func TestMigrateRunsNothingOfGenerators(t *testing.T) {
	template, err := os.ReadFile(filepath.Join("testdata", "generators-hostile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, evil := range evils {
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		manifests := strings.ReplaceAll(string(template), "EVIL", strings.Trim(string(quoted), `"`))
		dir := filepath.Join(t.TempDir(), "git")
		r := as(t, cp.Kubeconfig(), manifests, "migrate", "--from=-", "--output-dir", dir)
		if r.code != cli.Fine || strings.ContainsAny(r.stdout+r.stderr, "\x1b\u202e\u2028") || !strings.Contains(r.stdout, "kubectl delete externalsecret") {
			t.Fatalf("%q: %+v", evil, r)
		}
		steps, err := os.ReadFile(filepath.Join(dir, "steps.sh"))
		if err != nil {
			t.Fatal(err)
		}
		inert(t, string(steps))
		credentials, err := os.ReadFile(filepath.Join(dir, "credentials.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(credentials), "\n---\n") {
			var o struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &o); err != nil || !strings.HasSuffix(o.Kind, "RegistryCredential") {
				t.Errorf("%v: %s", err, document)
			}
		}
	}
	r := as(t, cp.Kubeconfig(), "replicas: 2\n---\napiVersion: generators.external-secrets.io/v1alpha1\nkind: ACRAccessToken\nmetadata: {name: a}\nspec: {registry: 1}\n---\nkind: Secret\napiVersion: v1\ndata: 1\n", "migrate", "--from=-")
	for _, want := range []string{"skipped: document 1 of stdin names no kind", "not read: ACRAccessToken default/a is no valid ACRAccessToken", "not read: document 3 of stdin is no valid Secret"} {
		if r.code != cli.Undecided || !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in %+v", want, r)
		}
	}
	for _, args := range [][]string{{"--apply"}, {"--rollback"}} {
		if r := run(t, append([]string{"migrate", "--from=testdata"}, args...)...); r.code != cli.Failure {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// foreignKinds copies the definitions of External Secrets' kinds, as its own module has them, into a directory.
func foreignKinds(dir string) error {
	downloaded, err := module.Download(context.Background(), "github.com/external-secrets/external-secrets@v0.20.4")
	if err != nil {
		return err
	}
	errs := []error{os.Mkdir(dir, 0o700)}
	for _, plural := range []string{
		"external-secrets.io_externalsecrets", "external-secrets.io_pushsecrets", "generators.external-secrets.io_acraccesstokens", "generators.external-secrets.io_clustergenerators",
		"generators.external-secrets.io_ecrauthorizationtokens", "generators.external-secrets.io_gcraccesstokens", "generators.external-secrets.io_uuids",
	} {
		raw, err := os.ReadFile(filepath.Join(downloaded, "config", "crds", "bases", plural+".yaml"))
		errs = append(errs, err, os.WriteFile(filepath.Join(dir, plural+".yaml"), raw, 0o600))
	}
	return errors.Join(errs...)
}
