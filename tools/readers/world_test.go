package readers

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// patience bounds what the controller may take on a busy machine.
const patience = 2 * time.Minute

var world *lab.Lab

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start)) }

func start(ctx context.Context, s *lab.Suite) (err error) {
	if world, err = lab.Start(ctx, controlplane.Options{}, cloud.Options{}); err != nil {
		return err
	}
	s.Stops(world.Stop)
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// manyRegistries is the Secret that Regcred keeps by the sample with one entry for each cloud.
func manyRegistries(t *testing.T) corev1.Secret {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	user, token, err := world.PrepareManyRegistries(ctx)
	must(t, err)
	storeCharts(t)
	_, err = world.Kubectl(ctx, "apply", "-f", filepath.Join(world.Root, "config", "samples", "many-registries.yaml"))
	must(t, err)
	must(t, world.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: lab.ManyNamespace, Name: "hub", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"username": user, "password": token},
	}))
	_, err = world.StartController(ctx, io.Discard)
	must(t, err)
	secrets, err := world.Client.Watch(ctx, &corev1.SecretList{}, client.InNamespace(lab.ManyNamespace))
	must(t, err)
	defer secrets.Stop()
	for event := range secrets.ResultChan() {
		secret, ok := event.Object.(*corev1.Secret)
		if ok && secret.Name == lab.ManyCredential && strings.Count(string(secret.Data[corev1.DockerConfigJsonKey]), `"auth"`) >= len(lab.ManyImages) {
			return *secret
		}
	}
	t.Fatal("Regcred has not written a login for each registry")
	return corev1.Secret{}
}

// storeCharts stores a Helm chart beside each image.
func storeCharts(t *testing.T) {
	t.Helper()
	chart := chartImage(t)
	var errs []error
	for _, image := range lab.ManyImages {
		host, rest, _ := strings.Cut(image, "/")
		repository, _, _ := strings.Cut(rest, "/app:")
		for domain, store := range map[string]interface {
			StoreImage(host, repository, tag string, image v1.Image) (digest string, err error)
		}{"amazonaws.com": world.AWS, "pkg.dev": world.Google, "azurecr.io": world.Azure, "docker.io": world.DockerHub} {
			if strings.HasSuffix(host, domain) {
				_, err := store.StoreImage(host, repository+"/chart", "1.0.0", chart)
				errs = append(errs, err)
			}
		}
	}
	must(t, errors.Join(errs...))
}

// chartImage is a chart as helm pushes it.
func chartImage(t *testing.T) v1.Image {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/chart", 0o700))
	must(t, os.WriteFile(dir+"/chart/Chart.yaml", []byte("apiVersion: v2\nname: chart\nversion: 1.0.0\n"), 0o600))
	_, err := world.Helm(t.Context(), "package", dir+"/chart", "--destination", dir)
	must(t, err)
	archive, err := os.ReadFile(dir + "/chart-1.0.0.tgz")
	must(t, err)
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	image, err = mutate.Append(image, mutate.Addendum{Layer: static.NewLayer(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")})
	must(t, err)
	return image
}
