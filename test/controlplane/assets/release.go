package assets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// binariesModule is the module whose go.mod is the one place that states the versions and the packages of the binaries.
const binariesModule = "test/controlplane/binaries"

// release is what the go.mod of binariesModule says.
type release struct {
	root     string            // the checkout
	modFile  string            // the go.mod that was read
	version  string            // of Kubernetes, as in v1.37.2
	packages map[string]string // binary → the main package it is built from
}

func readRelease(ctx context.Context) (release, error) {
	root, err := checkout()
	if err != nil {
		return release{}, err
	}
	r := release{root: root, modFile: filepath.Join(root, binariesModule, "go.mod"), packages: map[string]string{}}

	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json", r.modFile).Output()
	if err != nil {
		return release{}, fmt.Errorf("reading %s: %w", r.modFile, err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
		Tool    []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return release{}, fmt.Errorf("reading %s: %w", r.modFile, err)
	}
	for _, required := range mod.Require {
		if required.Path == "k8s.io/kubernetes" {
			r.version = required.Version
		}
	}
	if r.version == "" {
		return release{}, fmt.Errorf("%s does not require k8s.io/kubernetes", r.modFile)
	}
	for _, tool := range mod.Tool {
		r.packages[binaryName(tool.Path)] = tool.Path
	}
	return r, nil
}

// binaryName is the package's last element, except for etcd, whose main package is the root of its server module.
func binaryName(pkg string) string {
	if strings.HasPrefix(pkg, "go.etcd.io/etcd/server/") {
		return Etcd
	}
	return path.Base(pkg)
}

// checkout is the nearest directory from the current one upwards that holds binariesModule: `go test` starts a test in
// its package's directory, `go run` where the user stands.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, binariesModule, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a checkout of Regcred: set KUBEBUILDER_ASSETS to a directory with etcd, kube-apiserver and kubectl")
		}
		dir = parent
	}
}

// minor is the version as setup-envtest selects it: the newest patch of the same minor.
func (r release) minor() string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(r.version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}
