package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/test/controlplane"
)

// process runs the plugin as users do.
func process(t *testing.T, plugin, kubeconfig, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), plugin, append([]string{"--kubeconfig=" + kubeconfig}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// outcomes are how a verb ends where there is no cluster, where its kinds are not installed, where nothing may be read, and where what is
// named does not exist: the exit code, and what it says.
type outcomes struct {
	verb                                string
	cluster, definitions, rights, named ends
}

type ends struct {
	code int
	says string
}

func TestEveryVerbOfEveryBadStart(t *testing.T) {
	seedStatus(t)
	plugin := binary(t)
	bare, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	raw, err := os.ReadFile(cp.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	down := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(down, regexp.MustCompile(`https://127\.0\.0\.1:[0-9]+`).ReplaceAll(raw, []byte("https://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, nobody, err := cp.AddUser("nobody-at-all", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range everyVerb {
		t.Run(o.verb, func(t *testing.T) {
			for where, c := range map[string]struct {
				kubeconfig string
				want       ends
			}{"no cluster": {down, o.cluster}, "no CRDs": {bare.Kubeconfig(), o.definitions}, "no rights": {nobody, o.rights}, "no such name": {cp.Kubeconfig(), o.named}} {
				r := process(t, plugin, c.kubeconfig, "", append(strings.Fields(o.verb), "--namespace=team-b")...)
				said := strings.Join(strings.Fields(r.stdout+" "+r.stderr), " ")
				if r.code != c.want.code || !strings.Contains(said, c.want.says) || strings.Count(r.stderr, "error: ") > 1 {
					t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", where, r.code, c.want.code, c.want.says, r.stdout, r.stderr)
				}
			}
		})
	}
}

var (
	unreachable = ends{cli.Failure, "the API server at 127.0.0.1:1 cannot be reached"}
	uninstalled = ends{cli.Failure, "the cluster does not know Regcred's kinds: install"}
	unreadable  = ends{cli.Undecided, "not read: registrycredentials in namespace team-b (needs the right to get them)"}
	unlisted    = ends{cli.Undecided, "not read: registrycredentials in namespace team-b (needs the right to list them)"}
	misspelt    = ends{cli.Failure, "there is no credential shred in namespace team-b: did you mean cregcred/shared?"}
)

var everyVerb = []outcomes{
	{"status", unreachable, uninstalled, unlisted, ends{cli.Findings, "pods cannot pull"}},
	{"status shred", unreachable, uninstalled, unreadable, misspelt},
	{"why", unreachable, ends{cli.Fine, "No pod waits for an image."}, ends{cli.Undecided, "No pod that you may read waits for an image."}, ends{cli.Fine, "No pod waits for an image."}},
	{"why pod/gone", unreachable, ends{cli.Failure, "there is no pod/gone in namespace team-b"},
		ends{cli.Undecided, "not read: pods in namespace team-b (needs the right to get them)"}, ends{cli.Failure, "there is no pod/gone in namespace team-b"}},
	{"audit", unreachable, ends{cli.Fine, "0 pull Secrets, 0 findings"}, ends{cli.Undecided, "not read: secrets in namespace team-b"}, ends{cli.Fine, "0 findings"}},
	{"doctor", unreachable, ends{cli.Findings, "it is not installed: helm install regcred-crds"}, ends{cli.Undecided, "not checked (needs the right to list deployments)"},
		ends{cli.Findings, "there is no Deployment with the label"}},
	{"access shred", unreachable, uninstalled, unreadable, misspelt},
	{"migrate", unreachable, ends{cli.Fine, "Nothing was found"}, ends{cli.Undecided, "Nothing that you may read"}, ends{cli.Fine, "Nothing was found"}},
	{"migrate --apply gone", unreachable, ends{cli.Failure, "no such CronJob renews pull Secrets"}, ends{cli.Undecided, "Nothing was changed: not read: cronjobs"},
		ends{cli.Failure, "no such CronJob renews pull Secrets"}},
	{"migrate --rollback gone", unreachable, ends{cli.Failure, "no record of such a migration"}, ends{cli.Undecided, "not read: configmaps"}, ends{cli.Failure, "no record of such a migration"}},
	{"export kubelet shred", unreachable, uninstalled, unreadable, misspelt},
	{"init ghcr.io/acme/app -A", ends{cli.Fine, "kind: "}, ends{cli.Fine, "kind: "}, ends{cli.Fine, "kind: "}, ends{cli.Fine, "kind: "}},
	{"refresh shred", unreachable, uninstalled, unreadable, misspelt},
	{"refresh --all", unreachable, uninstalled, unlisted, ends{cli.Findings, "suspended, so that nothing is refreshed"}},
	{"suspend shred", unreachable, uninstalled, unreadable, misspelt},
	{"resume shred", unreachable, uninstalled, unreadable, misspelt},
	{"override shred --registry=prod --username=u --for=1h --password-stdin", unreachable, uninstalled, unreadable, misspelt},
	{"override shred --registry=prod --end", unreachable, uninstalled, unreadable, misspelt},
}

// One Secret that cannot be parsed hides none of a thousand others.
func TestAuditOfAMalformedSecretAmongAThousand(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(`{"auths":{"ghcr.io":{"auth":"YTpi"}}}`))
	bad := base64.StdEncoding.EncodeToString([]byte(`{"auths":{"ghcr.io":{"auth":"!"}}}`))
	var manifests strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&manifests, "---\napiVersion: v1\nkind: Secret\nmetadata: {namespace: many, name: good-%d}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: %s}\n", n, good)
	}
	r := process(t, binary(t), cp.Kubeconfig(), manifests.String()+fmt.Sprintf(
		"---\napiVersion: v1\nkind: Secret\nmetadata: {namespace: many, name: bad}\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: %s}\n---\napiVersion: example.com/v7\nkind: Odd\n", bad),
		"audit", "--from=-", "-o", "wide")
	if r.code != cli.Findings || !strings.Contains(r.stdout, "1001 pull Secrets, 1 finding\n") || !strings.Contains(r.stdout, "RC301 error secret/bad -n many") || !strings.Contains(r.stdout, "good-999") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout[:min(400, len(r.stdout))], r.stderr)
	}
}

// Files hold other things, too: what is no credential is skipped, and what cannot be parsed is named.
func TestCredentialsAreFoundAmongOtherDocuments(t *testing.T) {
	plugin := binary(t)
	one := "apiVersion: regcred.dev/v1alpha1\nkind: RegistryCredential\nmetadata: {name: one, namespace: team-a}\nspec: {registries: [{name: prod, ecr: {region: eu-west-1}}]}\n"
	for _, verb := range []string{"access -f -", "export kubelet -f -"} {
		args := strings.Fields(verb)
		if r := process(t, plugin, cp.Kubeconfig(), "# nothing\n---\napiVersion: example.com/v7\nkind: Odd\n---\n"+one+"---\napiVersion: v1\nkind: ConfigMap\n", args...); r.code != cli.Fine {
			t.Errorf("%s: %+v", verb, r)
		}
		if r := process(t, plugin, cp.Kubeconfig(), "apiVersion: example.com/v7\nkind: Odd\n", args...); r.code != cli.Failure || r.stderr != "error: there is no credential in stdin\n" {
			t.Errorf("%s: %+v", verb, r)
		}
		if r := process(t, plugin, cp.Kubeconfig(), one+"---\n\t{", args...); r.code != cli.Failure || !strings.Contains(r.stderr, "cannot be parsed") {
			t.Errorf("%s: %+v", verb, r)
		}
	}
}

// kubectl completes the plugin's arguments by the script that it finds on the PATH, and the script asks kubectl.
func TestCompletion(t *testing.T) {
	seedStatus(t)
	dir := t.TempDir()
	// It does what kubectl does: it runs the plugin with the words after its name.
	kubectl := "#!/bin/sh\n[ \"$1\" = regcred ] && shift && exec '" + binary(t) + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(kubectl), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("KUBECONFIG", cp.Kubeconfig())
	for typed, want := range map[string]string{
		"sta": "status\t", "status --namespace=team-a regcred/": "regcred/pull\n", "suspend cregcred/s": "cregcred/shared\n", "status -o w": "wide\n", "export kube": "kubelet\t",
	} {
		out, err := exec.CommandContext(t.Context(), "./kubectl_complete-regcred", strings.Split(typed, " ")...).Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s, want %q", typed, err, out, want)
		}
	}
}
