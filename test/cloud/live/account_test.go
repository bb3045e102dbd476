//go:build live

package live

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/providers/artifactregistry"
	"github.com/regcred/regcred/providers/ecr"
)

// needs returns the value of a variable without which a test proves nothing.
func needs(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("set %s, or leave this test out with -run", name)
	}
	return value
}

func get(t *testing.T, url string) (body string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), res.StatusCode
}

// lives checks a token of whoever runs the tests, by the ambient identity.
func lives(t *testing.T, p providers.Provider, registry v1alpha1.Registry, least time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	token, err := p.Token(ctx, providers.Request{Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(token.ExpiresAt); left < least {
		t.Errorf("the token lives for %s, want %s at least", left, least)
	}
	for _, host := range token.Hosts() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(token.Logins[0].Username, token.Logins[0].Password.Reveal())
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		_ = res.Body.Close()
		t.Logf("%s answers the login with status %d", host, res.StatusCode)
	}
}

// 9. ECR gives a token of 12 hours, at the plain, the FIPS and the dual-stack endpoint. Credentials as the SDK finds them.
func TestECRGivesAToken(t *testing.T) {
	region := needs(t, "LIVE_ECR_REGION")
	for name, spec := range map[string]v1alpha1.ECR{"plain": {}, "FIPS": {FIPS: true}, "dual-stack": {DualStack: true}} {
		t.Run(name, func(t *testing.T) {
			if spec.Region = region; spec.FIPS {
				spec.Region = "us-east-1"
			}
			lives(t, ecr.New(clock.RealClock{}, ecr.Configuration(nil)), v1alpha1.Registry{Name: "live", ECR: &spec}, 11*time.Hour)
		})
	}
}

// 10. Artifact Registry takes a token of the scope cloud-platform.read-only. Credentials by GOOGLE_APPLICATION_CREDENTIALS.
func TestArtifactRegistryTakesAReadOnlyToken(t *testing.T) {
	host := needs(t, "LIVE_GOOGLE_HOST")
	needs(t, "GOOGLE_APPLICATION_CREDENTIALS")
	p, err := artifactregistry.New(clock.RealClock{}, artifactregistry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lives(t, p, v1alpha1.Registry{Name: "live", ArtifactRegistry: &v1alpha1.ArtifactRegistry{Hosts: []string{host}, ReadOnlyScope: true}}, 10*time.Minute)
}

// 11. ACR gives a token for one repository, which says when it ends and what it is for. The identity is the environment's.
func TestACRGivesATokenForARepository(t *testing.T) {
	registry, repository := needs(t, "LIVE_ACR_REGISTRY"), needs(t, "LIVE_ACR_REPOSITORY")
	p, err := acr.New(clock.RealClock{}, acr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lives(t, p, v1alpha1.Registry{Name: "live", ACR: &v1alpha1.ACR{Registry: v1alpha1.Host(registry), Repositories: []string{repository}}}, 30*time.Minute)
}
