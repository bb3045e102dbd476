package dockerkey

import "testing"

// What Choose answers is compared with the kubelet's own code in package diagnosis.

func TestGlobsMatchLabelByLabel(t *testing.T) {
	for _, c := range []struct {
		glob, host string
		want       bool
	}{
		{"*.example.com", "a.example.com", true}, {"*.example.com", "a.b.example.com", false}, {"*.example.com", "example.com", false},
		{"*.example.com", "a.example.com:5000", false}, {"*.example.com:5000", "a.example.com:5000", true}, {"r*.example.com", "r1.example.com", true},
		{"r*.example.com", "x1.example.com", false}, {"*.*.com", "a.b.com", true}, {"*", "localhost", true}, {"*", "a.b", false},
		{"*.example.com", "a.example.com.evil.example", false}, {"*.example.com", "a.example.org", false}, {"[.example.com", "[.example.com", false},
	} {
		if got := MatchHost(c.glob, c.host); got != c.want {
			t.Errorf("%s for %s: %t, want %t", c.glob, c.host, got, c.want)
		}
	}
}

func TestDockerHubHasOneName(t *testing.T) {
	for host, want := range map[string]string{"docker.io": Hub, "index.docker.io": Hub, "registry-1.docker.io": Hub, "ghcr.io": "ghcr.io", "evil-docker.io": "evil-docker.io"} {
		if got := Canonical(host); got != want {
			t.Errorf("%s is %s, want %s", host, got, want)
		}
	}
}
