package plugin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// puller is a ServiceAccount of a cluster that grants this token for the audience "registry" only.
func puller(t *testing.T, token string, annotations map[string]string) providers.Identity {
	t.Helper()
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller", UID: "1", Annotations: annotations,
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			if audience != "registry" || lifetime < time.Hour {
				t.Errorf("asked for audience %q and %s", audience, lifetime)
			}
			return token, nil
		},
	}}
}

func attributes(cacheType kubeletconfig.ServiceAccountTokenCacheType, required bool) *kubeletconfig.ServiceAccountTokenAttributes {
	a := &kubeletconfig.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: "registry", CacheType: cacheType, RequireServiceAccount: &required,
		OptionalServiceAccountAnnotationKeys: []string{"example.com/optional"},
	}
	if required {
		a.RequiredServiceAccountAnnotationKeys = []string{"example.com/role", "example.com/tenant"}
	}
	return a
}

func TestThePluginGetsTheServiceAccountsTokenAndTheAnnotationsThatItIsConfiguredFor(t *testing.T) {
	token := webToken(t, 0, time.Hour)
	path := filepath.Join(t.TempDir(), "observed")
	env := answering(answer(`"auth":{"*.registry.io":{"username":"u","password":"p"}}`))
	env[fakeObserved] = path
	p := configure(t, kubeletconfig.CredentialProvider{TokenAttributes: attributes("ServiceAccount", true)}, env)
	annotations := map[string]string{"example.com/role": "r", "example.com/tenant": "", "example.com/optional": "o", "example.com/other": "x"}
	if _, err := p.Token(t.Context(), request("a.registry.io/app", puller(t, token, annotations))); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen observed
	var got credentialprovider.CredentialProviderRequest
	if err := json.Unmarshal(raw, &seen); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(seen.Input), &got); err != nil {
		t.Fatal(err)
	}
	if got.ServiceAccountToken != token {
		t.Error("it does not get the token")
	}
	delete(annotations, "example.com/other")
	if diff := cmp.Diff(annotations, got.ServiceAccountAnnotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if strings.Contains(strings.Join(append(seen.Args, seen.Env...), " "), token) {
		t.Error("the token is in its arguments or its environment, where others can read it")
	}
}

func TestIdentitiesThatDoNotFitAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		attributes *kubeletconfig.ServiceAccountTokenAttributes
		identity   providers.Identity
		reason     string // empty if it fits
		says       []string
	}{
		"no token wanted, none given": {},
		"no token wanted, a ServiceAccount": {identity: puller(t, "t", nil), reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"plugin fake takes no ServiceAccount's token", "tokenAttributes"}},
		"a ServiceAccount may be, none given": {attributes: attributes("ServiceAccount", false)},
		"a ServiceAccount must be, none given": {attributes: attributes("ServiceAccount", true), reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"requires a ServiceAccount", "identity.serviceAccountRef"}},
		"missing annotations": {attributes: attributes("ServiceAccount", true), identity: puller(t, "t", map[string]string{"example.com/optional": "x"}),
			reason: v1alpha1.ReasonIdentityInvalid, says: []string{"ServiceAccount team-a/puller", "annotate it with example.com/role, example.com/tenant"}},
		"a Secret": {attributes: attributes("ServiceAccount", false), identity: providers.Identity{Secret: &providers.Secret{Namespace: "team-a", Name: "keys"}},
			reason: v1alpha1.ReasonInvalidRequest, says: []string{"takes no identity.secretRef"}},
	} {
		p := configure(t, kubeletconfig.CredentialProvider{TokenAttributes: c.attributes},
			answering(answer(`"auth":{"*.registry.io":{"username":"u","password":"p"}}`)))
		_, err := p.Token(t.Context(), request("a.registry.io/app", c.identity))
		if reason(t, err) != c.reason || err != nil && c.reason == "" {
			t.Errorf("%s: got %s (%v), want %q", name, reason(t, err), err, c.reason)
			continue
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", name, err, words)
			}
		}
	}
}

func TestAClusterThatGivesNoTokenIsHeard(t *testing.T) {
	id := puller(t, "", nil)
	id.ServiceAccount.RequestToken = func(context.Context, string, time.Duration) (string, error) {
		return "", providers.Errorf(v1alpha1.ReasonIdentityNotFound, "it is gone")
	}
	p := configure(t, kubeletconfig.CredentialProvider{TokenAttributes: attributes("ServiceAccount", false)}, answering(""))
	if _, err := p.Token(t.Context(), request("a.registry.io/app", id)); reason(t, err) != v1alpha1.ReasonIdentityNotFound {
		t.Errorf("got %v", err)
	}
}

// What cacheType says of the life of credentials, and of a plugin that hands the ServiceAccount's token on.
func TestCacheType(t *testing.T) {
	token := webToken(t, 0, time.Hour)
	for name, c := range map[string]struct {
		cacheType kubeletconfig.ServiceAccountTokenCacheType
		password  string
		want      time.Duration
	}{
		"ServiceAccount: credentials outlive the token": {"ServiceAccount", "p", 6 * time.Hour},
		"Token: they end with it":                       {"Token", "p", time.Hour},
		"Token: the token itself":                       {"Token", token, time.Hour},
		"ServiceAccount: the token itself":              {"ServiceAccount", token, 0},
	} {
		p := configure(t, kubeletconfig.CredentialProvider{
			TokenAttributes: attributes(c.cacheType, false), DefaultCacheDuration: &metav1.Duration{Duration: 6 * time.Hour},
		}, answering(answer(`"auth":{"*.registry.io":{"username":"u","password":"`+c.password+`"}}`)))
		got, err := p.Token(t.Context(), request("a.registry.io/app", puller(t, token, nil)))
		switch {
		case c.want == 0:
			if reason(t, err) != v1alpha1.ReasonInvalidResponse || !strings.Contains(err.Error(), "cacheType Token") {
				t.Errorf("%s: got %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case got.ExpiresAt.Sub(clockStart) != c.want:
			t.Errorf("%s: it lives for %s, want %s", name, got.ExpiresAt.Sub(clockStart), c.want)
		}
	}
}
