package migrate

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// cronJob is one that renews pull Secrets in the namespace.
func cronJob(namespace string) string {
	return fmt.Sprintf(`{apiVersion: batch/v1, kind: CronJob, metadata: {namespace: %s, name: renew}, spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: renew, args: [ecr, get-login-password]}]}}}}}}`, namespace)
}

// pullSecret holds a token of ECR, and logins for others.
func pullSecret(namespace, name, kind string, others ...string) string {
	token := base64.StdEncoding.EncodeToString([]byte("AWS:" + base64.StdEncoding.EncodeToString([]byte(`{"payload":"p","type":"DATA_KEY","expiration":4102444800}`))))
	auths := `"123456789012.dkr.ecr.eu-west-1.amazonaws.com":{"auth":"` + token + `"}`
	for _, host := range others {
		auths += `,"` + host + `":{"auth":"YTpi"}`
	}
	key, config := ".dockerconfigjson", `{"auths":{`+auths+`}}`
	if kind == "kubernetes.io/dockercfg" {
		key, config = ".dockercfg", `{`+auths+`}`
	}
	return fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {namespace: %s, name: %s}, type: %s, data: {%s: %s}}`, namespace, name, kind, key, base64.StdEncoding.EncodeToString([]byte(config)))
}

const current, old = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"

// A tool is stopped only where its Secrets are taken over: else the last token dies hours later, and nothing renews it.
func TestNoStepStopsWhatNothingReplaces(t *testing.T) {
	const stopA, stopB = "kubectl patch cronjob renew --namespace=a", "kubectl patch cronjob renew --namespace=b"
	const adopt, apply, wait = "kubectl annotate secret pull --namespace=a", "kubectl apply", "kubectl regcred status"
	shared := []string{`{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {namespace: a, name: pull}, spec: {dataFrom: [{sourceRef: {generatorRef: {kind: ECRAuthorizationToken, name: ecr}}}]}}`,
		`{apiVersion: generators.external-secrets.io/v1alpha1, kind: ECRAuthorizationToken, metadata: {namespace: a, name: ecr}, spec: {region: eu-west-1}}`}
	for name, c := range map[string]struct {
		manifests []string
		runs      []string
		never     []string
	}{
		"all is taken over":             {[]string{cronJob("a"), pullSecret("a", "pull", current)}, []string{stopA, adopt, apply, wait}, nil},
		"another has no Secret":         {[]string{cronJob("a"), pullSecret("a", "pull", current), cronJob("b")}, []string{stopA, adopt, apply, wait}, []string{stopB}},
		"another's Secret is of no use": {[]string{cronJob("a"), pullSecret("a", "pull", current), cronJob("b"), pullSecret("b", "other", current, "docker.io")}, []string{stopA, adopt, apply, wait + " regcred/pull"}, []string{stopB, wait + " regcred/other"}},
		"a login is missing":            {[]string{cronJob("a"), pullSecret("a", "pull", current, "docker.io")}, nil, []string{stopA, adopt, apply, wait}},
		"the type is old":               {[]string{cronJob("a"), pullSecret("a", "pull", old)}, nil, []string{stopA, adopt, apply, wait}},
		"its other Secret is of no use": {[]string{cronJob("a"), pullSecret("a", "pull", current), pullSecret("a", "other", current, "docker.io")}, nil, []string{stopA, adopt, apply, wait}},
		"External Secrets":              {append(shared, pullSecret("a", "pull", current)), []string{"kubectl delete externalsecret", adopt}, nil},
		"External Secrets of no use":    {append(shared, pullSecret("a", "pull", current, "docker.io")), nil, []string{"kubectl delete externalsecret", adopt}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := findIn("-", strings.NewReader(strings.Join(c.manifests, "\n---\n")))
			if err != nil || f.incomplete {
				t.Fatalf("%v, %q", err, f.notRead)
			}
			var steps bytes.Buffer
			writeSteps(&steps, planOf(f), "credentials.yaml")
			lines := strings.Split(steps.String(), "\n")
			begins := func(prefix string) bool {
				return slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, prefix) })
			}
			for _, command := range c.runs {
				if !begins(command) {
					t.Errorf("%q is not run:\n%s", command, &steps)
				}
			}
			for _, command := range c.never {
				if begins(command) || !begins("# "+command) {
					t.Errorf("%q is run, or not told of:\n%s", command, &steps)
				}
			}
			if lines[1] != "set -e" {
				t.Errorf("a step that fails does not end the script:\n%s", &steps)
			}
		})
	}
}

// Without a credential there are no files, and each tool that was found is told why.
func TestNothingToTakeOverIsNoFile(t *testing.T) {
	var stdout, stderr bytes.Buffer
	dir := filepath.Join(t.TempDir(), "git")
	c := &command{env: &cli.Env{IOStreams: genericiooptions.IOStreams{Out: &stdout, ErrOut: &stderr}}, format: output.NewFormat(), dir: dir}
	f, err := findIn("-", strings.NewReader(cronJob("a")))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.print(planOf(f), false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) || stderr.Len() == 0 || !strings.Contains(stdout.String(), "CronJob a/renew goes on") {
		t.Errorf("%v: %s, %s", err, &stdout, &stderr)
	}
}

// Half a set of files is worse than none: the steps would not be for the credentials beside them.
func TestAllFilesAreWrittenOrNone(t *testing.T) {
	f, err := findIn("-", strings.NewReader(cronJob("a")+"\n---\n"+pullSecret("a", "pull", current)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"credentials.yaml", "steps.sh"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &command{dir: dir}
		err := c.writeFiles(planOf(f))
		files, _ := os.ReadDir(dir)
		if err == nil || len(files) != 1 {
			t.Errorf("%s: %v, %v", name, err, files)
		}
		c.force = true
		if err := c.writeFiles(planOf(f)); err != nil {
			t.Error(err)
		}
	}
}
