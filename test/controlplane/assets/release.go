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

// source is a module whose go.mod is the one place that states the version and the packages of some binaries.
type source struct {
	name    string // of its folder in the cache
	module  string // its folder in the checkout
	project string // the required module that gives the version
	tags    string // build tags
}

var (
	kubernetes = source{name: "controlplane", module: "test/controlplane/binaries", project: "k8s.io/kubernetes"}
	// What Prometheus finds by service discovery is no business of a test; without it the build takes half of the time.
	prometheus = source{name: "prometheus", module: "test/controlplane/prometheus", project: "github.com/prometheus/prometheus", tags: "remove_all_sd"}
)

// sourceOf is the source of all the named binaries.
func sourceOf(names []string) source {
	if len(names) > 0 && (names[0] == Prometheus || names[0] == Promtool) {
		return prometheus
	}
	return kubernetes
}

// release is what the go.mod of a source says.
type release struct {
	source
	root     string            // the checkout
	modFile  string            // the go.mod that was read
	version  string            // of the project, as in v1.37.2
	packages map[string]string // binary → the main package it is built from
}

func readRelease(ctx context.Context, from source) (release, error) {
	root, err := checkout()
	if err != nil {
		return release{}, err
	}
	r := release{source: from, root: root, modFile: filepath.Join(root, from.module, "go.mod"), packages: map[string]string{}}

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
		if required.Path == from.project {
			r.version = required.Version
		}
	}
	if r.version == "" {
		return release{}, fmt.Errorf("%s does not require %s", r.modFile, from.project)
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

// checkout is the nearest directory from the current one upwards that holds the sources: `go test` starts a test in
// its package's directory, `go run` where the user stands.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, kubernetes.module, "go.mod")); err == nil {
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
