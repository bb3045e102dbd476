package diagnosis

import (
	"slices"
	"testing"
)

func TestTheKubeletsChoice(t *testing.T) {
	for name, c := range map[string]struct {
		image      string
		keys, want []string
	}{
		"the host":                         {"ghcr.io/acme/app", []string{"ghcr.io", "quay.io"}, []string{"ghcr.io"}},
		"a URL with a version":             {"ghcr.io/acme/app", []string{"https://ghcr.io/v2/", "http://ghcr.io/v1/"}, []string{"https://ghcr.io/v2/", "http://ghcr.io/v1/"}},
		"a longer path first":              {"quay.io/acme/app", []string{"quay.io", "quay.io/acme", "quay.io/other"}, []string{"quay.io/acme", "quay.io"}},
		"a path is a beginning":            {"quay.io/acme-two/app", []string{"quay.io/acme"}, []string{"quay.io/acme"}},
		"a glob is for as many labels":     {"a.b.example.com/x/app", []string{"*.example.com", "*.*.example.com"}, []string{"*.*.example.com"}},
		"a glob comes after what it is of": {"a.example.com/x/app", []string{"*.example.com", "a.example.com"}, []string{"a.example.com", "*.example.com"}},
		"a port is literal":                {"example.com:5000/x/app", []string{"example.com", "example.com:5000"}, []string{"example.com:5000"}},
		"Docker Hub without a host":        {"nginx", []string{"https://index.docker.io/v1/"}, []string{"https://index.docker.io/v1/"}},
		"Docker Hub by its name":           {"docker.io/acme/app", []string{"docker.io", "index.docker.io"}, []string{"docker.io"}},
		"not Docker Hub's registry host":   {"nginx", []string{"registry-1.docker.io"}, nil},
		"nothing":                          {"ghcr.io/acme/app", []string{"ghcr.io.evil.example", "hcr.io", "https://%zz"}, nil},
	} {
		i, ok := ParseImage(c.image)
		if got := i.Choose(c.keys); !ok || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
