// Package release proves that what a release is made by would work, as far as that can be seen without Docker and GitHub.
package release

import (
	"debug/elf"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const root = ".."

// instruction is one of a Dockerfile, on one line.
type instruction struct{ name, args string }

// stages are the instructions of a Dockerfile after each FROM, which is the first of each.
func stages(t *testing.T, text string) [][]instruction {
	t.Helper()
	var all [][]instruction
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			all = append(all, nil)
		}
		if len(all) == 0 && name == "ARG" {
			continue
		}
		if len(all) == 0 {
			t.Fatalf("%s before FROM", name)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{name, strings.TrimSpace(args)})
	}
	return all
}

func dockerfile(t *testing.T) [][]instruction {
	t.Helper()
	all := stages(t, read(t, "Dockerfile"))
	if len(all) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want one that builds and one that is the image", len(all))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const stamped = "v9.8.7-of-the-test"

var mountOption = regexp.MustCompile(`^(--mount=\S+\s+)+`)

// buildStage does in a directory what the first stage does in an image, for the platform of this machine, without the COPY of the path
// left out.
func buildStage(t *testing.T, leftOut string) (binaries string, err error) {
	t.Helper()
	dir, out := t.TempDir(), t.TempDir()
	for _, i := range dockerfile(t)[0] {
		switch i.name {
		case "COPY":
			words := strings.Fields(i.args)
			for _, source := range words[:len(words)-1] {
				if source != leftOut {
					copyInto(t, filepath.Join(dir, words[len(words)-1]), source)
				}
			}
		case "RUN":
			script := mountOption.ReplaceAllString(i.args, "")
			if strings.HasPrefix(script, "go mod download") {
				continue // this machine has them: it built this test
			}
			run := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(script, "/out/", out+"/"))
			run.Dir = dir
			run.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION="+stamped, "GOWORK=off", "GOFLAGS=-mod=readonly")
			if said, err := run.CombinedOutput(); err != nil {
				return "", errors.New(string(said))
			}
		}
	}
	return out, nil
}

// copyInto is COPY of a file into a directory, or of a directory's content.
func copyInto(t *testing.T, destination, source string) {
	t.Helper()
	from := filepath.Join(root, source)
	info, err := os.Stat(from)
	switch {
	case err != nil:
		t.Fatal(err)
	case info.IsDir():
		err = os.CopyFS(destination, os.DirFS(from))
	default:
		var raw []byte
		if raw, err = os.ReadFile(from); err == nil {
			err = os.WriteFile(filepath.Join(destination, filepath.Base(source)), raw, info.Mode())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheDockerfileBuildsStaticBinariesThatKnowTheirVersion(t *testing.T) {
	binaries, err := buildStage(t, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"regcred", "kubectl-regcred"} {
		binary := filepath.Join(binaries, name)
		said, err := exec.CommandContext(t.Context(), binary, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.TrimSpace(string(said)); !strings.HasSuffix(got, stamped) {
			t.Errorf("%s --version says %q, want %q", name, got, stamped)
		}
		static(t, binary)
		if !copiedIntoTheImage(t, name) {
			t.Errorf("%s is not in the image", name)
		}
	}
}

// static fails if the binary needs what the image does not have, or holds what nobody needs.
func static(t *testing.T, binary string) {
	t.Helper()
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Errorf("%s wants a dynamic linker, which the image does not have", binary)
		}
	}
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Errorf("%s has a symbol table, which make build leaves out", binary)
	}
}

// copiedIntoTheImage says whether the second stage puts a program at the top of the image.
func copiedIntoTheImage(t *testing.T, name string) bool {
	t.Helper()
	return slices.ContainsFunc(dockerfile(t)[1], func(i instruction) bool {
		words := strings.Fields(i.args)
		return i.name == "COPY" && words[0] == "--from=build" && words[len(words)-1] == "/" && slices.Contains(words, "/out/"+name)
	})
}

func TestTheDockerfileNeedsEveryCopy(t *testing.T) {
	for _, path := range copied(t) {
		if path == "go.sum" {
			continue // go build names every module that misses in it; one such build is enough
		}
		t.Run(path, func(t *testing.T) {
			if _, err := buildStage(t, path); err == nil {
				t.Errorf("the build passes without %s", path)
			}
		})
	}
}

func TestTheContextHoldsWhatIsCopied(t *testing.T) {
	ignored := strings.Split(read(t, ".dockerignore"), "\n")
	for _, path := range append(copied(t), "LICENSE") {
		if !slices.Contains(ignored, "!"+path) {
			t.Errorf(".dockerignore does not let %s into the context", path)
		}
	}
}

// copied are the paths that the first stage takes from the context.
func copied(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, i := range dockerfile(t)[0] {
		if words := strings.Fields(i.args); i.name == "COPY" {
			paths = append(paths, words[:len(words)-1]...)
		}
	}
	if len(paths) < 3 {
		t.Fatalf("found %q copied only", paths)
	}
	return paths
}

var numbers = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`)

func TestTheImageHasNoShellAndNoRoot(t *testing.T) {
	image := map[string]string{}
	for _, i := range dockerfile(t)[1] {
		if i.name == "COPY" {
			continue
		}
		image[i.name] = i.args
	}
	base := regexp.MustCompile(`(?m)^ARG BASE_IMAGE=gcr\.io/distroless/static:nonroot(@sha256:[0-9a-f]{64})?$`)
	if image["FROM"] != "$BASE_IMAGE" || !base.MatchString(read(t, "Dockerfile")) {
		t.Errorf("the image is made from %q, want distroless static, which has no shell", image["FROM"])
	}
	if !numbers.MatchString(image["USER"]) {
		t.Errorf("the image runs as %q, want numbers, which the kubelet can see not to be root", image["USER"])
	}
	if image["ENTRYPOINT"] != `["/regcred"]` {
		t.Errorf("the entry point is %s, want the binary without a shell", image["ENTRYPOINT"])
	}
	for name := range maps.Keys(image) {
		if !slices.Contains([]string{"FROM", "ARG", "LABEL", "USER", "ENTRYPOINT"}, name) {
			t.Errorf("%s in the image's stage: nothing is run there", name)
		}
	}
}

func TestImageSaysWhatItNeeds(t *testing.T) {
	// Just enough for the script itself: neither docker, buildah nor ko.
	bin := t.TempDir()
	for _, name := range []string{"bash", "dirname", "sed"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	image := exec.CommandContext(t.Context(), "bash", "image")
	image.Env = []string{"PATH=" + bin, "VERSION=v1.2.3", "IMAGE=registry.example/regcred"}
	said, err := image.CombinedOutput()
	if err == nil {
		t.Error("passed without docker and buildah")
	}
	for _, want := range []string{"docker with buildx", "buildah", "ko "} {
		if !strings.Contains(string(said), want) {
			t.Errorf("said %q, want it to name %s", said, want)
		}
	}
}

func TestReleaseRefusesAVersionThatIsNone(t *testing.T) {
	build := exec.CommandContext(t.Context(), "bash", "build")
	build.Env = append(os.Environ(), "VERSION=1a2b3c4-dirty", "IMAGE=registry.example/regcred", "GO=false", "HELM=false", "KUBECTL=false")
	if said, err := build.CombinedOutput(); err == nil || !strings.Contains(string(said), "make release VERSION=v1.2.3") {
		t.Errorf("said %q and ended with %v, want a refusal that says how to name a version", said, err)
	}
}

// TestAnImageIsBuiltFromDigests: a docker in front of the real one says what it is asked for.
func TestAnImageIsBuiltFromDigests(t *testing.T) {
	bin, asked := t.TempDir(), filepath.Join(t.TempDir(), "asked")
	digest := "sha256:" + strings.Repeat("1", 64)
	script := "#!/bin/sh\necho \"$@\" >> " + asked + "\ncase \"$*\" in *imagetools*) echo " + digest + ";; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	image := exec.CommandContext(t.Context(), "bash", "image")
	image.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "VERSION=v1.2.3", "IMAGE=registry.example/regcred")
	if said, err := image.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	raw, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"BUILD_IMAGE=docker.io/library/golang:1.26@" + digest, "BASE_IMAGE=gcr.io/distroless/static:nonroot@" + digest, "BASE_DIGEST=" + digest,
	} {
		if !strings.Contains(string(raw), "--build-arg "+want) {
			t.Errorf("docker was asked:\n%s\nwant %s", raw, want)
		}
	}
}

// TestNothingIsLatest: what is installed from a checkout is a version, the one that the chart installs.
func TestNothingIsLatest(t *testing.T) {
	version := regexp.MustCompile(`(?m)^appVersion: (.+)$`).FindStringSubmatch(read(t, "charts/regcred/Chart.yaml"))
	if len(version) != 2 || !strings.Contains(read(t, "config/manager/deployment.yaml"), "image: ghcr.io/regcred/regcred:"+version[1]+"\n") {
		t.Errorf("config/manager does not install the version %q of the chart", version)
	}
	if !strings.Contains(read(t, "config/samples/audit.yaml"), "image: ghcr.io/regcred/regcred:"+version[1]+"\n") {
		t.Errorf("config/samples/audit.yaml does not run the version %q of the chart", version)
	}
}
