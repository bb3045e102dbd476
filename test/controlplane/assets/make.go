package assets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// releaseIndex is what setup-envtest reads first.
const releaseIndex = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"

const (
	// A machine without internet must not wait long to learn it; one with a slow line must be allowed to finish.
	probeTimeout    = 5 * time.Second
	downloadTimeout = 5 * time.Minute
)

// published tells whether setup-envtest offers the binary.
func published(name string) bool { return name == Etcd || name == APIServer || name == Kubectl }

// download takes the missing binaries from setup-envtest.
func (r release) download(ctx context.Context, progress io.Writer, dir string, missing []string) error {
	if err := reachable(ctx, releaseIndex); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	fmt.Fprintf(progress, "downloading Kubernetes %s\n", r.minor())
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "setup-envtest", "use", r.minor()+".x!",
		"--bin-dir", filepath.Join(filepath.Dir(dir), "setup-envtest"), "-p", "path")
	cmd.Dir = r.root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("setup-envtest: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	for _, name := range missing {
		if !published(name) {
			continue
		}
		from := filepath.Join(strings.TrimSpace(string(out)), name)
		if err := os.Link(from, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func reachable(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return fmt.Errorf("%s is not known here", dns.Name)
	}
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// build compiles one binary from the module proxy. It appears under its name only when it is complete; more are to come after it.
func (r release) build(ctx context.Context, progress io.Writer, dir, name string, more int) error {
	target := filepath.Join(dir, name)
	unfinished := target + ".unfinished"
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-buildvcs=false", "-tags", r.tags, "-ldflags", r.ldflags(), "-o", unfinished, r.packages[name])
	cmd.Dir = filepath.Join(r.root, r.module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if err := r.watch(progress, filepath.Dir(dir), name, more).run(cmd); err != nil {
		return fmt.Errorf("building %s: %w", name, err)
	}
	return os.Rename(unfinished, target)
}

// ldflags stamp the version: without them a Kubernetes component reports v0.0.0 and clients take it for an ancient one.
func (r release) ldflags() string {
	if r.source != kubernetes {
		return "-s -w"
	}
	const version = "-X k8s.io/component-base/version."
	major, minor, _ := strings.Cut(r.minor(), ".")
	return strings.Join([]string{"-s -w", version + "gitVersion=" + r.version, version + "gitMajor=" + major, version + "gitMinor=" + minor}, " ")
}

func lock(progress io.Writer, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	descriptor := int(file.Fd())
	if err = syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintln(progress, "another process is making the binaries, waiting for it")
		for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
			err = syscall.Flock(descriptor, syscall.LOCK_EX)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
