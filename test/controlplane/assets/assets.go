// Package assets provides the binaries that tests run: those of a Kubernetes control plane, from KUBEBUILDER_ASSETS, and Prometheus',
// from PATH; both from a cache outside the checkout, where they come from setup-envtest if the internet is reachable, and otherwise are
// built from the Go module proxy.
package assets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The binaries that can be asked for.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	Kubectl           = "kubectl"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"

	// Those of Prometheus are asked for apart from those above.
	Prometheus = "prometheus"
	Promtool   = "promtool"
)

// Find returns the directory that holds all the named binaries. It makes nothing: what is missing is an error that says
// how to get it.
func Find(ctx context.Context, names ...string) (string, error) {
	source := sourceOf(names)
	if dir, ok := source.fromEnvironment(names); ok {
		return dir, nil
	}
	release, err := readRelease(ctx, source)
	if err != nil {
		return "", err
	}
	dir, err := release.cacheDir()
	if err != nil {
		return "", err
	}
	if missing := missingFrom(dir, names); len(missing) > 0 {
		return "", fmt.Errorf("%s: neither in %s nor in %s; run make test, or go run ./test/controlplane/install %s",
			strings.Join(missing, ", "), source.environment(), dir, strings.Join(names, " "))
	}
	return dir, nil
}

// Ensure returns the directory that holds all the named binaries, after downloading or building those that are missing.
// It tells progress what it does, because a build takes minutes.
func Ensure(ctx context.Context, progress io.Writer, names ...string) (string, error) {
	source := sourceOf(names)
	if dir, ok := source.fromEnvironment(names); ok {
		return dir, nil
	}
	release, err := readRelease(ctx, source)
	if err != nil {
		return "", err
	}
	if err := release.knows(names); err != nil {
		return "", err
	}
	dir, err := release.cacheDir()
	if err != nil {
		return "", err
	}
	if len(missingFrom(dir, names)) == 0 {
		return dir, nil
	}
	return dir, release.fill(ctx, progress, dir, names)
}

// fill holds the lock of dir while it works, so that two callers never build the same binary twice.
func (r release) fill(ctx context.Context, progress io.Writer, dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(progress, filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()

	if missing := missingFrom(dir, names); r.source == kubernetes && slices.ContainsFunc(missing, published) {
		if err := r.download(ctx, progress, dir, missing); err != nil {
			fmt.Fprintf(progress, "no download (%v), building instead\n", err)
		}
	}
	missing := missingFrom(dir, names)
	for i, name := range missing {
		if err := r.build(ctx, progress, dir, name, len(missing)-i-1); err != nil {
			return err
		}
	}
	return nil
}

func (r release) knows(names []string) error {
	var errs []error
	for _, name := range names {
		if _, ok := r.packages[name]; !ok {
			errs = append(errs, fmt.Errorf("%q is not among the tools of %s", name, r.modFile))
		}
	}
	return errors.Join(errs...)
}

func (r release) cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for a cache: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "regcred", r.name, r.version), nil
}

// environment names what may hold the binaries before the cache does.
func (s source) environment() string {
	if s == prometheus {
		return "PATH"
	}
	return "KUBEBUILDER_ASSETS"
}

func (s source) fromEnvironment(names []string) (string, bool) {
	for _, dir := range filepath.SplitList(os.Getenv(s.environment())) {
		if dir, err := filepath.Abs(dir); err == nil && len(missingFrom(dir, names)) == 0 {
			return dir, true
		}
	}
	return "", false
}

func missingFrom(dir string, names []string) []string {
	var missing []string
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}
