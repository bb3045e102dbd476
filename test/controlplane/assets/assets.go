// Package assets provides the binaries of a Kubernetes control plane: from KUBEBUILDER_ASSETS, from a cache outside the
// checkout, from setup-envtest where the internet is reachable, and otherwise built from the Go module proxy.
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
)

// Find returns the directory that holds all the named binaries. It makes nothing: what is missing is an error that says
// how to get it.
func Find(ctx context.Context, names ...string) (string, error) {
	if dir, ok := fromEnvironment(names); ok {
		return dir, nil
	}
	release, err := readRelease(ctx)
	if err != nil {
		return "", err
	}
	dir, err := release.cacheDir()
	if err != nil {
		return "", err
	}
	if missing := missingFrom(dir, names); len(missing) > 0 {
		return "", fmt.Errorf("%s: neither in KUBEBUILDER_ASSETS nor in %s; run make test, or go run ./test/controlplane/install %s",
			strings.Join(missing, ", "), dir, strings.Join(names, " "))
	}
	return dir, nil
}

// Ensure returns the directory that holds all the named binaries, after downloading or building those that are missing.
// It tells progress what it does, because a build takes minutes.
func Ensure(ctx context.Context, progress io.Writer, names ...string) (string, error) {
	if dir, ok := fromEnvironment(names); ok {
		return dir, nil
	}
	release, err := readRelease(ctx)
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

	if missing := missingFrom(dir, names); slices.ContainsFunc(missing, published) {
		if err := r.download(ctx, progress, dir, missing); err != nil {
			fmt.Fprintf(progress, "control plane: no download (%v), building instead\n", err)
		}
	}
	for _, name := range missingFrom(dir, names) {
		if err := r.build(ctx, progress, dir, name); err != nil {
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
	return filepath.Join(base, "regcred", "controlplane", r.version), nil
}

func fromEnvironment(names []string) (string, bool) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		return "", false
	}
	dir, err := filepath.Abs(dir)
	return dir, err == nil && len(missingFrom(dir, names)) == 0
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
