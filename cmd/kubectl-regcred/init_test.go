package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/command"
)

func TestInit(t *testing.T) {
	r := run(t, "init", ecrHost+"/team/app:1", "--namespaces=team-b,team-a")
	golden(t, "init.txt", r.stdout)
	if r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
	golden(t, "init-azure.txt", run(t, "init", "acme.azurecr.io/team/app", "-A", "--account="+tenant).stdout)
	golden(t, "init-serviceaccount.txt", run(t, "init", "europe-west1-docker.pkg.dev/my-project/apps/team/app", "-A", "--identity=serviceaccount").stdout)
}

const tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"

// What is neither said nor follows from the image is named, where nobody can be asked; and what is wrong, too.
func TestInitNamesWhatIsMissing(t *testing.T) {
	const image = ecrHost + "/team/app"
	for _, c := range []struct{ args, want string }{
		{"", "--cloud is missing"},
		{"--cloud=aws", "--account is missing"},
		{"--cloud=aws --account=123456789012", "--registry is missing"},
		{"--cloud=none", "--registry is missing"},
		{image, "--namespaces is missing"},
		{"acme.azurecr.io/app -A", "--account is missing"},
		{"public.ecr.aws/acme/app -A", "--account is missing"},
		{image + " -A --namespaces=a", "do not go together"},
		{image + " -A --cloud=ibm", `--cloud: "ibm" is none of aws, google, azure, none`},
		{image + " -A --cloud=google --account=my-project", "is no registry of google"},
		{image + " -A --account=1", "is no AWS account"},
		{image + " -A --registry=ghcr", "is no host of a registry"},
		{image + " -A --registry=", "--registry is empty"},
		{"acme.azurecr.io/app -A --account=x", "is no Azure tenant"},
		{"gcr.io/my-project/app -A --account=X", "is no Google Cloud project"},
		{image + " -A --identity=me", "--identity"},
		{"UPPER -A", "is no image"},
	} {
		if r := run(t, append([]string{"init"}, strings.Fields(c.args)...)...); r.code != cli.Failure || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("%s: want %q: %+v", c.args, c.want, r)
		}
	}
	for _, evil := range evils {
		for _, flag := range []string{"--cloud", "--account", "--registry", "--identity", "--name"} {
			if r := run(t, "init", image, "-A", flag+"="+evil); r.code != cli.Failure || r.stdout != "" || strings.ContainsAny(r.stderr, "\x1b\u202e\u2028") {
				t.Errorf("%s=%q: %+v", flag, evil, r)
			}
		}
	}
}

// What is written is what the API server, the chart and sh take, for every cloud and identity.
func TestInitWritesFiles(t *testing.T) {
	for _, args := range []string{
		ecrHost + "/team/app", ecrHost + "/team/app --account=210987654321 --identity=serviceaccount", "--cloud=aws --account=123456789012 --registry=" + ecrHost,
		"europe-west1-docker.pkg.dev/my-project/repository/app", "gcr.io/my-project/app --identity=serviceaccount", "--cloud=google --account=my-project --registry=gcr.io",
		"acme.azurecr.io/team/app --account=" + tenant, "acme.azurecr.cn/team/app --identity=serviceaccount --account=" + tenant,
		"public.ecr.aws/acme/app --account=123456789012", "ghcr.io/acme/app", "nginx", "--cloud=none --registry=docker.io",
	} {
		dir := filepath.Join(t.TempDir(), "files")
		all := append(append([]string{"init", "-A"}, strings.Fields(args)...), "--output-dir", dir)
		if r := run(t, all...); r.code != cli.Fine {
			t.Fatalf("%s: %+v", args, r)
		}
		if out, err := cp.Kubectl(t.Context(), "apply", "--dry-run=server", "-f", filepath.Join(dir, "credential.yaml")); err != nil {
			t.Errorf("%s: %v: %s", args, err, out)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(dir, "steps.sh")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", args, err, out)
		}
		helm := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "helm", "template", "regcred", "charts/regcred", "--namespace=regcred-system", "--values="+filepath.Join(dir, "values.yaml"))
		helm.Dir = filepath.Join("..", "..")
		if out, err := helm.CombinedOutput(); err != nil || !strings.Contains(string(out), "image: REGISTRY/regcred:TAG") && !strings.Contains(string(out), `image: "REGISTRY/regcred:TAG"`) {
			t.Errorf("%s: %v: %s", args, err, out)
		}
		info, err := os.Stat(filepath.Join(dir, "values.yaml"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", args, info, err)
		}
		if r := run(t, all...); r.code != cli.Failure || !strings.Contains(r.stderr, "--force") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

// On a terminal it asks for what no flag says, and offers what follows from the image.
func TestInitAsksOnATerminal(t *testing.T) {
	const private = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	for _, c := range []struct {
		typed      string
		args, want []string
		code       int
	}{
		{"\n\n\n\n", []string{ecrHost + "/team/app"}, []string{"(aws, google, azure, none) [aws]: ", "of the identity [123456789012]: ", "amazonaws.com [" + ecrHost + "]: ", "separated by commas [all]: ", "repository: team/app", "namespaceSelector: {}"}, cli.Fine},
		{"aws\n123456789012\n" + private + "\nteam-a, team-b\n", nil, []string{"region: eu-west-1", "- team-a\n      - team-b\n"}, cli.Fine},
		{"azure\n" + tenant + "\nacme.azurecr.io\nall\n", nil, []string{"tenantID: " + tenant, "azure.workload.identity/use: \"true\""}, cli.Fine},
		{"\nteam-a\n", []string{"--cloud=none"}, []string{"The registry, such as"}, cli.Failure},
		{"none\nregistry.example.com\n\n", nil, []string{"host: registry.example.com"}, cli.Fine},
		{"aws\n1\n", nil, []string{"is no AWS account"}, cli.Failure},
		{"", nil, []string{"there was no answer"}, cli.Failure},
	} {
		r := onTerminal(t, c.typed, append([]string{"init"}, c.args...)...)
		for _, want := range c.want {
			if r.code != c.code || !strings.Contains(r.stdout+r.stderr, want) {
				t.Errorf("%q: no %q in %+v", c.typed, want, r)
			}
		}
		if strings.Contains(r.stderr, "Azure tenant of") && len(c.args) > 0 && c.args[0] == "--cloud=none" {
			t.Errorf("it asks for the account of no cloud: %+v", r)
		}
	}
}

// onTerminal runs the plugin with stdin at a terminal, on which somebody types and then goes away.
func onTerminal(t *testing.T, typed string, args ...string) result {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	const goneAway = "\x04"
	if _, err := keyboard.WriteString(typed + goneAway); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	e := cli.New("v0.0.0-test")
	e.IOStreams = genericiooptions.IOStreams{In: terminal, Out: &stdout, ErrOut: &stderr}
	code := command.Run(t.Context(), e, args)
	return result{stdout.String(), stderr.String(), code}
}

// A name that no object has is refused before anything is written; a harmful one, too.
func TestInitRefusesNamesThatNoObjectHas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "files")
	for _, name := range append([]string{"Bad Name", "a b", "", "-a"}, evils...) {
		for flag, value := range map[string]string{"--name": name, "--namespaces": `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, "--serviceaccounts": `"` + strings.ReplaceAll(name, `"`, `""`) + `"`} {
			if name == "" && flag != "--name" {
				continue // none are named
			}
			args := []string{"init", ecrHost + "/team/app", flag + "=" + value, "--output-dir", dir}
			if flag != "--namespaces" {
				args = append(args, "-A")
			}
			r := run(t, args...)
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
	r := run(t, "init", ecrHost+"/team/app", "-A", "--output-dir", dir)
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
		"eu.gcr.io/my-project/team/app":                        "      - eu.gcr.io\n",
	} {
		if r := run(t, "init", image, "-A"); r.code != cli.Fine || !strings.Contains(r.stdout, want) || strings.Contains(r.stdout, "--project=GOOGLE-PROJECT") || strings.Contains(r.stdout, "binding REPOSITORY") {
			t.Errorf("%s: %+v", image, r)
		}
	}
	if r := run(t, "init", "gcr.io/example.com/my-project/app", "-A"); r.code != cli.Failure || !strings.Contains(r.stderr, "--account is missing") {
		t.Errorf("a project of a domain is guessed: %+v", r)
	}
}
