// Package readers proves that what reads pull Secrets can read one that Regcred keeps: the programs and libraries of others, with one
// Secret for the registries of four clouds. It is a module of its own, for what it needs, and wants skopeo, podman and buildah on PATH.
package readers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/oci"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ociremote "github.com/sigstore/cosign/v3/pkg/oci/remote"
	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/test/lab"
)

// pull is one attempt of a reader, in a directory of its own, with the Secret as its namespace holds it or with an empty one.
type pull struct {
	dir    string // config.json in it is the Secret's content
	secret corev1.Secret
	image  string
}

func (p pull) config() string { return filepath.Join(p.dir, "config.json") }

// chart is the Helm chart beside the image.
func (p pull) chart() string {
	repository, _, _ := strings.Cut(p.image, ":")
	return "oci://" + strings.TrimSuffix(repository, "/app") + "/chart"
}

var readers = map[string]func(context.Context, pull) error{
	"skopeo": func(ctx context.Context, p pull) error {
		return run(ctx, p, "skopeo", "--insecure-policy", "copy", "--authfile="+p.config(), "docker://"+p.image, "dir:"+p.dir+"/image")
	},
	"podman":  func(ctx context.Context, p pull) error { return run(ctx, p, "podman", stored(p)...) },
	"buildah": func(ctx context.Context, p pull) error { return run(ctx, p, "buildah", stored(p)...) },
	"crane": func(ctx context.Context, p pull) error {
		return tool(ctx, p, "go.mod", "crane", "pull", p.image, p.dir+"/image.tar")
	},
	"oras": func(ctx context.Context, p pull) error {
		return tool(ctx, p, "go.mod", "oras", "copy", "--from-registry-config="+p.config(), "--to-oci-layout", p.image, p.dir+"/layout:v1")
	},
	"helm": func(ctx context.Context, p pull) error {
		return tool(ctx, p, "../go.mod", "helm", "pull", p.chart(), "--version=1.0.0", "--registry-config="+p.config(), "--destination="+p.dir)
	},
	"cosign": func(ctx context.Context, p pull) error {
		ref, err := name.ParseReference(p.image)
		if err != nil {
			return err
		}
		_, err = ociremote.SignedEntity(ref, ociremote.WithRemoteOptions(
			remote.WithContext(ctx), remote.WithTransport(world.Internet.Transport()), remote.WithAuthFromKeychain(authn.DefaultKeychain)))
		return err
	},
	"flux": func(ctx context.Context, p pull) error {
		keychain, err := kubernetes.NewFromPullSecrets(ctx, []corev1.Secret{p.secret})
		if err != nil {
			return err
		}
		client := oci.NewClient([]crane.Option{crane.WithAuthFromKeychain(keychain), crane.WithTransport(world.Internet.Transport())})
		_, err = client.Pull(ctx, p.image, p.dir+"/artifact")
		return err
	},
}

// stored are the arguments of a program that keeps images, in a store of the pull's own.
func stored(p pull) []string {
	return []string{"--root=" + p.dir + "/root", "--runroot=" + p.dir + "/run", "--storage-driver=vfs",
		"pull", "--authfile=" + p.config(), "--signature-policy=" + p.dir + "/policy.json", "docker://" + p.image}
}

func TestEveryReaderReadsTheSecret(t *testing.T) {
	secret := manyRegistries(t)
	none := *secret.DeepCopy()
	none.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`)
	for reader, read := range readers {
		for _, image := range lab.ManyImages {
			host, _, _ := strings.Cut(image, "/")
			t.Run(reader+" at "+host, func(t *testing.T) {
				if err := read(t.Context(), prepare(t, none, image)); err == nil {
					t.Error("pulls without a login, so that this proves nothing")
				}
				if err := read(t.Context(), prepare(t, secret, image)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func prepare(t *testing.T, secret corev1.Secret, image string) pull {
	t.Helper()
	dir, err := os.MkdirTemp("", "pull-") // podman refuses paths as long as those of t.TempDir
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	p := pull{dir: dir, secret: secret, image: image}
	must(t, os.WriteFile(p.config(), secret.Data[corev1.DockerConfigJsonKey], 0o600))
	must(t, os.WriteFile(p.dir+"/policy.json", []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600))
	t.Setenv("DOCKER_CONFIG", p.dir)
	return p
}

// tool runs a program of a module.
func tool(ctx context.Context, p pull, module, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, "go", "tool", "-modfile="+module, "-n", name).Output()
	if err != nil {
		return fmt.Errorf("building %s: %w", name, err)
	}
	return run(ctx, p, strings.TrimSpace(string(out)), args...)
}

// run runs a program in the emulated internet, with the pull's directory as its home.
func run(ctx context.Context, p pull, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(world.Internet.Env(), "HOME="+p.dir, "DOCKER_CONFIG="+p.dir, "PATH="+os.Getenv("PATH"), "TMPDIR="+p.dir)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stderr, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
