package registryhost_test

import (
	"net/url"
	"testing"

	"github.com/regcred/regcred/providers/internal/registryhost"
	"github.com/regcred/regcred/providers/providertest"
)

func TestHosts(t *testing.T) {
	for text, port := range map[string]bool{
		"registry.example": false, "myregistry.azurecr.io": false, "europe-west1-docker.pkg.dev": false, "123456789012.dkr.ecr.eu-west-1.amazonaws.com": false,
		"localhost:5000": true, "docker.io": false, "registry": false, "10.0.0.1:5000": true, "192.168.0.1": false, "a.b.c.d.e": false, "xn--bcher-kva.example": false,
		"registry.example:65535": true, "0a.example": false,
	} {
		h, err := registryhost.Parse(text)
		switch {
		case err != nil:
			t.Errorf("%s: %v", text, err)
		case h.String() != text || h.HasPort() != port || h.URL() != "https://"+text:
			t.Errorf("%s became %s (port: %t), %s", text, h, h.HasPort(), h.URL())
		}
	}
}

func TestNoHostileHostPasses(t *testing.T) {
	const name, suffix = "myregistry", "azurecr.io"
	if h, err := registryhost.Parse(name + "." + suffix); err != nil || !h.Under(suffix) || !h.Under("."+suffix) || h.Under("") || h.Under("io") {
		t.Fatalf("the good host: %v, %v", h, err)
	}
	hostile := providertest.HostileHosts(name, suffix)
	if len(hostile) < 300 {
		t.Errorf("%d hosts only", len(hostile))
	}
	for _, text := range hostile {
		if h, err := registryhost.Parse(text); err == nil && h.Under(suffix) {
			t.Errorf("%q passes for a host below %s", text, suffix)
		}
	}
}

// What is parsed is read by every URL parser as this host and nothing else.
func FuzzParse(f *testing.F) {
	for _, text := range append(providertest.HostileHosts("myregistry", "azurecr.io"), "myregistry.azurecr.io", "registry.example:5000") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := registryhost.Parse(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("%q was normalized to %q", text, h)
		}
		u, err := url.Parse(h.URL() + "/v2/")
		if err != nil || u.Host != text || u.Hostname() != h.Name() || u.User != nil || u.Path != "/v2/" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q is another URL than it seems: %v, %v", text, u, err)
		}
		if h.Under("azurecr.io") != (len(h.Name()) > 11 && h.Name()[len(h.Name())-11:] == ".azurecr.io" && !containsDot(h.Name()[:len(h.Name())-11])) {
			t.Errorf("%q: Under is wrong", text)
		}
	})
}

func containsDot(s string) bool {
	for _, c := range s {
		if c == '.' {
			return true
		}
	}
	return false
}
