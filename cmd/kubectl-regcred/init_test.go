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
	for _, image := range []string{ecrHost + "/team/app", "europe-west1-docker.pkg.dev/project/repository/app", "gcr.io/project/app", "acme.azurecr.io/team/app", "public.ecr.aws/acme/app", "ghcr.io/acme/app", "nginx"} {
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

// A name that no object has is refused before anything is written; a harmful one, too.
func TestInitRefusesNamesThatNoObjectHas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	for _, name := range append([]string{"Bad Name", "a b", "", "-a"}, evils...) {
		for flag, value := range map[string]string{"--name": name, "--namespaces": `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, "--serviceaccounts": `"` + strings.ReplaceAll(name, `"`, `""`) + `"`} {
			if name == "" && flag != "--name" {
				continue // none are named
			}
			r := run(t, "init", ecrHost+"/team/app", flag+"="+value, "--output-dir", dir)
			if _, err := os.Stat(dir); r.code != cli.Failure || !strings.Contains(r.stderr, flag) || strings.Contains(r.stderr, "\x1b") || !os.IsNotExist(err) {
				t.Errorf("%s=%q: %v, %+v", flag, name, err, r)
			}
		}
	}
}

// Half a set of files is worse than none: the credential would not be the one that the steps are for.
func TestInitWritesAllFilesOrNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "values.yaml"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "init", ecrHost+"/team/app", "--output-dir", dir)
	files, err := os.ReadDir(dir)
	if err != nil || r.code != cli.Failure || len(files) != 1 {
		t.Errorf("%v: %v, %+v", err, files, r)
	}
}

// What the image names is not asked for again.
func TestInitTakesOverWhatTheImageNames(t *testing.T) {
	for image, want := range map[string]string{
		"europe-west1-docker.pkg.dev/my-project/apps/team/app": "      project: my-project\n      repositories:\n      - apps\n",
		"eu.gcr.io/my-project/app":                             "      project: my-project\n      repositories:\n      - eu.gcr.io\n",
		"public.ecr.aws/acme/app":                              "  - ecrPublic: {}\n",
	} {
		if r := run(t, "init", image); r.code != cli.Fine || !strings.Contains(r.stdout, want) || strings.Contains(r.stdout, "--project=GOOGLE-PROJECT") || strings.Contains(r.stdout, "binding REPOSITORY") {
			t.Errorf("%s: %+v", image, r)
		}
	}
	if r := run(t, "init", "gcr.io/example.com/my-project/app"); r.code != cli.Fine || !strings.Contains(r.stdout, "--project=GOOGLE-PROJECT") {
		t.Errorf("a project of a domain is guessed: %+v", r)
	}
}
