package static

import (
	"net/url"
	"strings"
	"testing"

	"github.com/regcred/regcred/internal/dockerkey"
	"github.com/regcred/regcred/providers/providertest"
)

func TestPlaces(t *testing.T) {
	for key, want := range map[string]string{
		"docker.io": "docker.io", "https://index.docker.io/v1/": "docker.io", "https://index.docker.io/v1": "docker.io",
		"index.docker.io": "docker.io", "registry-1.docker.io": "docker.io", "https://registry-1.docker.io/v2/": "docker.io",
		"docker.io/team": "docker.io/team", "https://index.docker.io/v1/team": "docker.io/team",
		"https://registry.example.com": "registry.example.com", "http://registry.example.com/": "registry.example.com",
		"registry.example.com/v2/": "registry.example.com", "https://registry.example.com:5000/v1/": "registry.example.com:5000",
		"registry.example.com/v2/team": "registry.example.com/team", "registry.example.com/v2team": "registry.example.com/v2team",
		"registry.example.com/team/": "registry.example.com/team/", "registry.example.com/team/app": "registry.example.com/team/app",
		"*.example.com": "*.example.com", "*.*.example.com:5000": "*.*.example.com:5000", "r*.example.com/team": "r*.example.com/team",
		"localhost:5000": "localhost:5000", "10.0.0.1:5000": "10.0.0.1:5000",

		"": "", "https://": "", "https:///v2/": "", "Registry.example.com": "", "user@registry.example.com": "", "registry.example.com:": "",
		"registry.example.com:99999": "", "registry.example.com?x": "", "registry.example.com/team?x": "", "registry.example.com/a b": "",
		"registry.example.com//team": "", "[::1]:5000": "", "ftp://registry.example.com": "", "registry.example.com/" + strings.Repeat("a", 512): "",
		"https://https://registry.example.com": "", "https://http://registry.example.com": "", "[a-z].example.com": "",
	} {
		p, ok := parsePlace(key)
		if p.String() != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", key, p, ok, want)
		}
	}
}

// What is accepted is, to the kubelet, which parses keys as URLs, the same host and no other.
func checkPlace(t *testing.T, key string) {
	t.Helper()
	p, ok := parsePlace(key)
	if !ok {
		return
	}
	if !strings.HasPrefix(key, "https://") && !strings.HasPrefix(key, "http://") {
		key = "https://" + key
	}
	u, err := url.Parse(key)
	if err != nil || dockerkey.Canonical(u.Host) != p.host || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		t.Errorf("%q is the host %q to us and another to the kubelet: %v", key, p.host, err)
	}
	if again, ok := parsePlace(p.String()); !ok || again.host != p.host {
		t.Errorf("%q is %q, which is read as %q", key, p, again)
	}
}

func TestHostileKeysAreWhatTheKubeletTakesThemFor(t *testing.T) {
	for _, key := range providertest.HostileHosts("myregistry", "azurecr.io") {
		checkPlace(t, key)
		checkPlace(t, "https://"+key)
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, key := range append(providertest.HostileHosts("myregistry", "azurecr.io"), "https://index.docker.io/v1/", "*.example.com/team") {
		f.Add(key)
	}
	f.Fuzz(checkPlace)
}
