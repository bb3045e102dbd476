package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	kubeletv1 "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// What is exported is what kubelets and the API server take.
func TestExportKubelet(t *testing.T) {
	r := run(t, "export", "kubelet", "-f", "testdata/export.yaml")
	golden(t, "export.txt", r.stdout)
	if r.code != cli.Fine {
		t.Fatalf("%+v", r)
	}
	documents := strings.SplitN(r.stdout, "---\n", 2)
	config := &kubeletv1.CredentialProviderConfig{}
	if err := yaml.UnmarshalStrict([]byte(documents[0]), config); err != nil || len(config.Providers) != 3 {
		t.Errorf("%v: %+v", err, config)
	}
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte(documents[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "-f", rules); err != nil || strings.Count(string(out), "created") != 2 {
		t.Errorf("%v: %s", err, out)
	}
}

// Whatever a credential holds stays a value: in the YAML, in the commands that comments hold, and on the terminal.
func TestExportRunsNothingOfACredential(t *testing.T) {
	template, err := os.ReadFile(filepath.Join("testdata", "access-hostile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, evil := range evils {
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		manifest := strings.ReplaceAll(string(template)+"  serviceAccounts: {names: [\"EVIL\"]}\n", "EVIL", string(bytes.Trim(quoted, `"`)))
		r := as(t, cp.Kubeconfig(), manifest, "export", "kubelet", "-f", "-")
		if r.code != cli.Fine || strings.Contains(r.stdout, "\x1b") {
			t.Fatalf("%q: %+v", evil, r)
		}
		documents := 0
		for document := range strings.SplitSeq(r.stdout, "\n---\n") {
			var o struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &o); err != nil || o.Kind == "Evil" {
				t.Errorf("%q: %v: %s", evil, err, document)
			}
			documents++
		}
		if documents != 3 {
			t.Errorf("%q: %d documents: %s", evil, documents, r.stdout)
		}
		harness := ""
		for line := range strings.Lines(r.stdout) {
			if command, ok := strings.CutPrefix(line, "# kubectl "); ok {
				harness += "kubectl " + command
			}
		}
		if !strings.Contains(harness, "annotate") {
			t.Errorf("%q: there is no command: %s", evil, r.stdout)
		}
		inert(t, harness)
	}
}

func TestExportOfACredentialInTheCluster(t *testing.T) {
	seedStatus(t)
	r := run(t, "export", "kubelet", "cregcred/registry-pull", "-o", "json")
	if r.code != cli.Fine || !strings.Contains(r.stdout, "hub (static): no plugin takes an identity from a Secret") || strings.Contains(r.stdout, "tokenAttributes") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"export"}, {"export", "kubelet"}, {"export", "kubelet", "none"}, {"export", "kubelet", "-f", "testdata/access.yaml"}} {
		if r := run(t, args...); r.code != cli.Failure {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
