package assets

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReleaseComesFromTheModFile(t *testing.T) {
	r, err := readRelease(t.Context(), kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(r.packages)), []string{Etcd, APIServer, ControllerManager, Scheduler, Kubectl, Kubelet}; !slices.Equal(got, want) {
		t.Errorf("binaries %v, want %v", got, want)
	}
	if !strings.HasPrefix(r.version, "v"+r.minor()+".") {
		t.Errorf("version %s has minor %s", r.version, r.minor())
	}
}

func TestPrometheusIsTakenFromThePathAndThenFromTheCache(t *testing.T) {
	r, err := readRelease(t.Context(), prometheus)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(r.packages)), []string{Prometheus, Promtool}; !slices.Equal(got, want) {
		t.Errorf("binaries %v, want %v", got, want)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cache, err := r.cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	addBinary(t, cache, Promtool)
	if got, err := Find(t.Context(), Promtool); err != nil || got != cache {
		t.Errorf("got %s, %v, want the cache, %s", got, err, cache)
	}
	onPath := t.TempDir()
	addBinary(t, onPath, Promtool)
	t.Setenv("PATH", os.Getenv("PATH")+string(filepath.ListSeparator)+onPath)
	if got, err := Ensure(t.Context(), t.Output(), Promtool); err != nil || got != onPath {
		t.Errorf("got %s, %v, want the one on PATH, %s", got, err, onPath)
	}
}

func TestLdflagsStampTheVersion(t *testing.T) {
	const want = "-s -w -X k8s.io/component-base/version.gitVersion=v1.40.3 " +
		"-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=40"
	if got := (release{source: kubernetes, version: "v1.40.3"}).ldflags(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEnsureTakesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	addBinary(t, dir, Etcd)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	if got, err := Ensure(t.Context(), t.Output(), Etcd); err != nil || got != dir {
		t.Errorf("got %s, %v, want %s", got, err, dir)
	}
}

func TestFindLooksInTheCacheForWhatTheEnvironmentLacks(t *testing.T) {
	r, err := readRelease(t.Context(), kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	want, err := r.cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), Etcd); err == nil || !strings.Contains(err.Error(), "go run ./test/controlplane/install etcd") {
		t.Errorf("empty cache: got %v, want the way to get it", err)
	}
	addBinary(t, want, Etcd)
	if got, err := Find(t.Context(), Etcd); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestEnsureRefusesUnknownBinary(t *testing.T) {
	if _, err := Ensure(t.Context(), t.Output(), "kube-nothing"); err == nil || !strings.Contains(err.Error(), "kube-nothing") {
		t.Errorf("got %v, want an error that names it", err)
	}
}

func TestLockLetsTheSecondWaitForTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	unlock, err := lock(t.Output(), path)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	locked := make(chan error)
	go func() {
		unlock, err := lock(writerFunc(func(p []byte) (int, error) {
			close(told)
			return len(p), nil
		}), path)
		if err == nil {
			unlock()
		}
		locked <- err
	}()
	<-told
	select {
	case err := <-locked:
		t.Fatalf("second lock returned while the first is held: %v", err)
	default:
	}
	unlock()
	if err := <-locked; err != nil {
		t.Error(err)
	}
}

func TestBuildFailureLeavesNothingUnderTheName(t *testing.T) {
	r, err := readRelease(t.Context(), kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	r.packages[Etcd] = "example.invalid/nothing"
	dir := t.TempDir()
	var progress bytes.Buffer
	if err := r.build(t.Context(), &progress, dir, Etcd, 0); err == nil || !strings.Contains(err.Error(), "building etcd") {
		t.Errorf("got %v, want an error that names the binary", err)
	}
	if left := missingFrom(dir, []string{Etcd}); len(left) != 1 {
		t.Error("a failed build left a binary")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func addBinary(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
		t.Fatal(err)
	}
}
