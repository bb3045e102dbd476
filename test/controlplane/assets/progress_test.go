package assets

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestABuildSaysWhatItIsAndHowLongItTookLastTime(t *testing.T) {
	r := release{source: kubernetes, version: "v1.40.3"}
	cache := t.TempDir()
	var first, second bytes.Buffer
	if err := r.watch(&first, cache, APIServer, 2).run(exec.CommandContext(t.Context(), "true")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"building kube-apiserver v1.40.3", "up to 7m0s", "2 more after it", "kube-apiserver v1.40.3 is ready after 0s"} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("said %q, want it to say %q", first.String(), want)
		}
	}
	if err := (durations{filepath.Join(cache, "durations.json")}).add(APIServer, 83*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := r.watch(&second, cache, APIServer, 0).run(exec.CommandContext(t.Context(), "true")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(second.String(), "it took 1m23s here") {
		t.Errorf("said %q, want what the last build took", second.String())
	}
}

func TestAFailingBuildSaysWhatTheCompilerSaid(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "echo k8s.io/api/core/v1; echo 'main.go:1: expected package'; exit 1")
	w := (release{source: kubernetes}).watch(&bytes.Buffer{}, t.TempDir(), Etcd, 0)
	err := w.run(cmd)
	if err == nil || !strings.Contains(err.Error(), "main.go:1: expected package") || strings.Contains(err.Error(), "k8s.io/api") {
		t.Errorf("got %v, want the compiler's words without the names of packages", err)
	}
	if got, want := w.line(90*time.Second), "  [###################.] 1m30s, 1 packages"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
}
