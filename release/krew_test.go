package release

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestKrewFindsAnArchiveForEveryPlatform that a release has.
func TestKrewFindsAnArchiveForEveryPlatform(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "release"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, platform := range []string{"darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64", "windows-amd64", "windows-arm64"} {
		path := filepath.Join(dir, "dist", "kubectl-regcred-v1.2.3-"+platform+".tar.gz")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(platform), 0o600); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(platform))
		bin := "kubectl-regcred"
		if strings.HasPrefix(platform, "windows") {
			bin += ".exe"
		}
		want[platform] = "https://github.com/regcred/regcred/releases/download/v1.2.3/kubectl-regcred-v1.2.3-" + platform + ".tar.gz " +
			hex.EncodeToString(sum[:]) + " kubectl-regcred-v1.2.3-" + platform + "/" + bin + " " + bin
	}
	krew := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "release", "krew"))
	krew.Env = append(os.Environ(), "VERSION=v1.2.3")
	out, err := krew.Output()
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version          string
			ShortDescription string
			Caveats          string
			Platforms        []struct {
				Selector struct{ MatchLabels struct{ OS, Arch string } }
				URI      string
				SHA256   string
				Bin      string
				Files    []struct{ From, To string }
			}
		}
	}
	if err := yaml.Unmarshal(out, &manifest); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range manifest.Spec.Platforms {
		got[p.Selector.MatchLabels.OS+"-"+p.Selector.MatchLabels.Arch] = p.URI + " " + p.SHA256 + " " + p.Files[0].From + " " + p.Bin
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	// krew refuses a longer one.
	if s := manifest.Spec; manifest.Metadata.Name != "regcred" || s.Version != "v1.2.3" || s.ShortDescription == "" || len(s.ShortDescription) > 50 {
		t.Errorf("%s %s: %q", manifest.Metadata.Name, s.Version, s.ShortDescription)
	}
	completionByKrew(t, manifest.Spec.Caveats)
}

// completionByKrew runs what krew shows after an installation: it links no executable but bin.
func completionByKrew(t *testing.T, caveats string) {
	t.Helper()
	root := t.TempDir()
	store, bin := filepath.Join(root, "store", "regcred", "v1.2.3"), filepath.Join(root, "bin")
	for _, dir := range []string{store, bin} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const name = "kubectl_complete-regcred"
	if err := os.WriteFile(filepath.Join(store, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(caveats, "\n\n")
	shell := exec.CommandContext(t.Context(), "sh", "-e")
	shell.Env, shell.Stdin = append(os.Environ(), "KREW_ROOT="+root), strings.NewReader(commands)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if info, err := os.Stat(filepath.Join(bin, name)); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("%v, %v: there is no completion after\n%s", info, err, commands)
	}
}
