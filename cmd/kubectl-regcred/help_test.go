package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Help fits a terminal, and is about the command rather than about kubectl.
func TestHelp(t *testing.T) {
	root := run(t, "--help")
	if root.code != cli.Fine || !strings.HasPrefix(root.stdout, "Look after the image pull credentials of a cluster. Without a command it is\nstatus: ") {
		t.Errorf("%+v", root)
	}
	_, commands, _ := strings.Cut(root.stdout, "Available Commands:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	verbs := []string{"export kubelet"}
	for line := range strings.Lines(commands) {
		if !strings.HasPrefix(line, "   ") { // else it goes on with the line above
			verbs = append(verbs, strings.Fields(line)[0])
		}
	}
	if len(verbs) < 13 {
		t.Errorf("too few commands: %q", verbs)
	}
	for _, verb := range append(verbs, "") {
		r := run(t, append(strings.Fields(verb), "--help")...)
		if r.code != cli.Fine || strings.Contains(r.stdout, "--client-certificate") || !strings.Contains(r.stdout, "--namespace") {
			t.Errorf("%s: %+v", verb, r)
		}
		for line := range strings.Lines(r.stdout) {
			if line = strings.TrimRight(line, "\n"); len(line) > output.Width && !strings.Contains(line, "kubectl regcred ") { // a command stays whole
				t.Errorf("%s --help: %d columns: %s", verb, len(line), line)
			}
		}
	}
	if r := run(t, "--client-certificate=/no/such/file"); r.code != cli.Failure || !strings.Contains(r.stderr, "/no/such/file") {
		t.Errorf("a flag that help does not show is not taken: %+v", r)
	}
}

func TestFlagsThatDoNotGoTogether(t *testing.T) {
	r := run(t, "override", "x", "--end", "--for=4h")
	if r.code != cli.Failure || r.stderr != "error: --end and --for do not go together\n" {
		t.Errorf("%+v", r)
	}
}

// An API server that does not answer in time ends --wait as a controller does that does not.
func TestWaitWithASilentAPIServer(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: it, contexts: [{name: it, context: {cluster: it}}],
clusters: [{name: it, cluster: {server: %q}}]}`, silent.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--wait", "--timeout=1s"}, {"cregcred/x", "--wait", "--timeout=1s"}} {
		if r := as(t, kubeconfig, "", args...); r.code != cli.TimedOut || r.stderr != "not ready after 1s\n" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
