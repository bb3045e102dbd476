package plugin

import (
	"testing"

	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
)

// Nothing that only looks like a host below the suffix gets a token for another one.
func TestNoHostileImageGetsATokenForAnotherHost(t *testing.T) {
	const name, suffix = "myregistry", "azurecr.io"
	p := configure(t, kubeletconfig.CredentialProvider{MatchImages: []string{"*." + suffix}},
		answering(answer(`"auth":{"*.azurecr.io":{"username":"u","password":"p"}}`)))
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
	if _, ok := keys.lookup(good.pattern); !ok {
		t.Fatal("the good host gets no login")
	}
	tried := 0
	for _, host := range providertest.HostileHosts(name, suffix) {
		all, err := targets(good, []v1alpha1.Host{v1alpha1.Host(host)})
		if err != nil {
			continue
		}
		for _, target := range all[1:] {
			tried++
			if _, ok := keys.lookup(target.pattern); ok {
				t.Errorf("%q passes for a host below %s", host, suffix)
			}
		}
	}
	if tried == 0 {
		t.Error("no hostile host was looked up")
	}
}
