package artifactregistry

import (
	"strings"
	"testing"

	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud/facts"
)

func s3ns(t *testing.T) universes {
	t.Helper()
	u, err := parseUniverses([]string{facts.GoogleUniverse.Domain + "=" + facts.GoogleUniverse.Suffix})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLocations(t *testing.T) {
	for host, want := range map[string][2]string{
		"europe-west1-docker.pkg.dev": {"europe-west1", googleapis}, "us-docker.pkg.dev": {"us", googleapis}, "docker.me-central2.rep.pkg.dev": {"me-central2", googleapis},
		"gcr.io": {"us", googleapis}, "us.gcr.io": {"us", googleapis}, "eu.gcr.io": {"europe", googleapis}, "asia.gcr.io": {"asia", googleapis},
		"u-france-east1-docker.s3nsregistry.fr": {"u-france-east1", "s3nsapis.fr"}, "docker.s3nsregistry.fr": {"", "s3nsapis.fr"},
	} {
		location, universe, ok := s3ns(t).location(host)
		if !ok || location != want[0] || universe != want[1] {
			t.Errorf("%s is in %q of %q (%t), want %q", host, location, universe, ok, want)
		}
	}
}

func TestEveryHostOfGooglesOwnHelperIsOne(t *testing.T) {
	for _, host := range facts.GoogleHosts {
		if _, universe, ok := (universes{}).location(host); !ok || universe != googleapis {
			t.Errorf("%s is refused", host)
		}
	}
	for _, host := range facts.GoogleUniverse.Hosts {
		if _, _, ok := (universes{}).location(host); ok {
			t.Errorf("%s is taken without the administrator's word", host)
		}
		if _, _, ok := s3ns(t).location(host); !ok {
			t.Errorf("%s is refused", host)
		}
	}
}

func TestNoHostileHostHasALocation(t *testing.T) {
	for _, good := range [][2]string{{"europe-west1-docker", "pkg.dev"}, {"us-docker", "pkg.dev"}, {"docker.europe-west1", "rep.pkg.dev"}, {"gcr", "io"}, {"eu", "gcr.io"}, {"docker", "s3nsregistry.fr"}} {
		hostile := providertest.HostileHosts(good[0], good[1])
		if len(hostile) < 300 {
			t.Fatalf("%d hosts only", len(hostile))
		}
		for _, host := range hostile {
			if _, _, ok := s3ns(t).location(host); ok && host != "gcr.io" {
				t.Errorf("%q passes for a host of Artifact Registry", host)
			}
		}
	}
	for _, host := range []string{"maven.pkg.dev", "europe-west1-maven.pkg.dev", "us-docker.pkg.dev:443", "docker.pkg.dev", "k8s.gcr.io", "eu.us.gcr.io",
		"docker.europe.rep.pkg.dev", "europe-west1-docker.rep.pkg.dev", "u-france-east1-maven.s3nsregistry.fr", "a.docker.s3nsregistry.fr", "docker.x.s3nsregistry.fr",
		"docker.xs3nsregistry.fr"} {
		if _, _, ok := s3ns(t).location(host); ok {
			t.Errorf("%q passes for a host of Artifact Registry", host)
		}
	}
}

func TestUniversesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{"", "s3nsapis.fr", "s3nsapis.fr=", "=s3nsregistry.fr", "fr=s3nsregistry.fr", "s3nsapis.fr=fr", "https://s3nsapis.fr=s3nsregistry.fr",
		"s3nsapis.fr=s3nsregistry.fr:443", "googleapis.com=evil.example", "evil.example=pkg.dev", "a.example=b.example=c.example"} {
		if _, err := parseUniverses([]string{text}); err == nil || !strings.HasPrefix(err.Error(), "--google-universes: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOneTokenIsForOneUniverse(t *testing.T) {
	if got, err := s3ns(t).universeOf([]string{"docker.s3nsregistry.fr", "u-france-east1-docker.s3nsregistry.fr"}); err != nil || got != "s3nsapis.fr" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s3ns(t).universeOf([]string{"docker.s3nsregistry.fr", "gcr.io"}); err == nil || !strings.Contains(err.Error(), "an entry for each") {
		t.Errorf("two universes: %v", err)
	}
}
