package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

func TestInit(t *testing.T) {
	r := run(t, "init", ecrHost+"/team/app:1", "--namespaces=team-b,team-a")
	golden(t, "init.txt", r.stdout)
	if r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"init"}, {"init", "UPPER"}} {
		if r := run(t, args...); r.code != cli.Failure {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// What is written is what the API server and sh take, for every cloud.
func TestInitWritesFiles(t *testing.T) {
	for _, image := range []string{ecrHost + "/team/app", "europe-west1-docker.pkg.dev/project/repository/app", "gcr.io/project/app", "acme.azurecr.io/team/app", "ghcr.io/acme/app", "nginx"} {
		dir := filepath.Join(t.TempDir(), "files")
		if r := run(t, "init", image, "--output-dir", dir); r.code != cli.Fine {
			t.Fatalf("%s: %+v", image, r)
		}
		if out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "-f", filepath.Join(dir, "credential.yaml")); err != nil {
			t.Errorf("%s: %v: %s", image, err, out)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(dir, "steps.sh")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", image, err, out)
		}
		info, err := os.Stat(filepath.Join(dir, "values.yaml"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", image, info, err)
		}
		if r := run(t, "init", image, "--output-dir", dir); r.code != cli.Failure || !strings.Contains(r.stderr, "--force") {
			t.Errorf("%s: %+v", image, r)
		}
	}
}

func TestInitRunsNothing(t *testing.T) {
	for _, evil := range evils {
		r := run(t, "init", ecrHost+"/team/app", "--name="+evil, "--namespaces="+`"`+strings.ReplaceAll(evil, `"`, `""`)+`"`)
		_, steps, found := strings.Cut(r.stdout, "#!/bin/sh")
		steps, _, _ = strings.Cut(steps, "# values.yaml")
		if !found || strings.Contains(r.stdout, "\x1b") {
			t.Fatalf("%+v", r)
		}
		inert(t, steps)
	}
}
