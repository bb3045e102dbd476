package artifactregistry

import (
	"testing"

	"github.com/regcred/regcred/providers/providertest"
)

func TestLocations(t *testing.T) {
	for host, want := range map[string]string{
		"europe-west1-docker.pkg.dev": "europe-west1", "us-docker.pkg.dev": "us", "asia-northeast3-docker.pkg.dev": "asia-northeast3",
		"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia",
	} {
		if got, ok := location(host); !ok || got != want {
			t.Errorf("%s is in %q (%t), want %q", host, got, ok, want)
		}
	}
}

func TestNoHostileHostHasALocation(t *testing.T) {
	for _, good := range [][2]string{{"europe-west1-docker", "pkg.dev"}, {"us-docker", "pkg.dev"}, {"gcr", "io"}, {"eu", "gcr.io"}} {
		hostile := providertest.HostileHosts(good[0], good[1])
		if len(hostile) < 300 {
			t.Fatalf("%d hosts only", len(hostile))
		}
		for _, host := range hostile {
			if _, ok := location(host); ok && host != "gcr.io" {
				t.Errorf("%q passes for a host of Artifact Registry", host)
			}
		}
	}
	for _, host := range []string{"maven.pkg.dev", "europe-west1-maven.pkg.dev", "us-docker.pkg.dev:443", "docker.pkg.dev", "k8s.gcr.io", "eu.us.gcr.io"} {
		if _, ok := location(host); ok {
			t.Errorf("%q passes for a host of Artifact Registry", host)
		}
	}
}
