package plugin

import (
	"path/filepath"
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
)

// No hostile host passes for one below the suffix that a plugin is configured for, so the plugin is not even asked.
func TestNoHostileImageReachesAPlugin(t *testing.T) {
	const name, suffix = "myregistry", "azurecr.io"
	env := answering(answer(`"auth":{"*.azurecr.io":{"username":"u","password":"p"}}`))
	env[fakeObserved] = filepath.Join(t.TempDir(), "observed")
	p := configure(t, kubeletconfig.CredentialProvider{MatchImages: []string{"*." + suffix}}, env)
	if _, err := p.Token(t.Context(), request(name+"."+suffix+"/app", providers.Identity{})); err != nil {
		t.Fatalf("the good host: %v", err)
	}
	for _, host := range providertest.HostileHosts(name, suffix) {
		for _, image := range []string{host, host + "/app"} {
			token, err := p.Token(t.Context(), request(image, providers.Identity{}))
			if err == nil && (len(token.Hosts()) != 1 || token.Hosts()[0] != name+"."+suffix) {
				t.Errorf("%q gets a token for %q", image, token.Hosts())
			}
		}
	}
}

func TestNoHostileHostIsPublished(t *testing.T) {
	const name, suffix = "myregistry", "azurecr.io"
	keys := newKeyring(map[string]credentialprovider.AuthConfig{"*." + suffix: {Username: "u", Password: "p"}})
	good, err := parseImage(name + "." + suffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range providertest.HostileHosts(name, suffix) {
		all, err := targets(good, []v1alpha1.Host{v1alpha1.Host(host)})
		if err != nil {
			continue
		}
		for _, target := range all[1:] {
			if _, ok := keys.lookup(target.pattern); ok {
				t.Errorf("%q passes for a host below %s", host, suffix)
			}
		}
	}
}
