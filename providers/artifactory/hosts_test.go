package artifactory

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud/facts"
)

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		spec v1alpha1.Artifactory
		base string
		want []string
	}{
		{v1alpha1.Artifactory{URL: "https://acme.jfrog.io"}, "https://acme.jfrog.io", []string{"acme.jfrog.io"}},
		{v1alpha1.Artifactory{URL: "https://jfrog.internal:8443"}, "https://jfrog.internal:8443", []string{"jfrog.internal:8443"}},
		{v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: []v1alpha1.Host{"acme-docker-local.jfrog.io", "acme.jfrog.io:5001", "docker.acme.example"}},
			"https://acme.jfrog.io", []string{"acme-docker-local.jfrog.io", "acme.jfrog.io:5001", "docker.acme.example"}},
	} {
		base, got, err := hosts(&c.spec)
		if err != nil || base != c.base {
			t.Errorf("%s: %q, %v", c.spec.URL, base, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.spec.URL, diff)
		}
	}
}

func TestEveryFormOfAHostIsTaken(t *testing.T) {
	for form, fact := range facts.JFrogHosts {
		base, got, err := hosts(&v1alpha1.Artifactory{URL: fact.URL, Hosts: []v1alpha1.Host{v1alpha1.Host(fact.Host)}})
		if err != nil || base != fact.URL || !slices.Equal(got, []string{fact.Host}) {
			t.Errorf("%s: %v at %s, %v", form, got, base, err)
		}
	}
}

// internet notes where requests go, and answers none.
type internet struct{ hosts []string }

func (n *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	n.hosts = append(n.hosts, r.URL.Scheme+"://"+r.URL.Host)
	return nil, http.ErrServerClosed
}

var identities = map[string]providers.Identity{
	"ServiceAccount": {ServiceAccount: &providers.ServiceAccount{
		RequestToken: func(context.Context, string, time.Duration) (string, error) { return "a.b.c", nil },
	}},
	"Secret": {Secret: &providers.Secret{
		Data: func(context.Context) (map[string][]byte, error) {
			return map[string][]byte{keyToken: []byte("a.b.c")}, nil
		},
	}},
}

// Nothing leaves for what is not plainly a host, and what is one gets what is sent to it and nothing else does.
func TestNothingLeavesForAHostileURL(t *testing.T) {
	for _, text := range append(providertest.HostileHosts("acme", "jfrog.io"), "acme.jfrog.io") {
		for kind, id := range identities {
			for _, url := range []string{"https://" + text, text, "http://" + text, "https://" + text + "/artifactory"} {
				n := &internet{}
				p, err := New(clock.RealClock{}, Options{Transport: n})
				if err != nil {
					t.Fatal(err)
				}
				req := providers.Request{Identity: id, Registry: v1alpha1.Registry{Artifactory: &v1alpha1.Artifactory{URL: url, ProviderName: "cluster"}}}
				_, err = p.Token(t.Context(), req)
				if err == nil {
					t.Fatalf("%s: %q gave a token", kind, url)
				}
				_ = p.Revoke(t.Context(), req, "11111111-2222-3333-4444-555555555555")
				name, https := strings.CutPrefix(url, "https://")
				if _, refused := registryhost.Parse(name); !https || refused != nil {
					if len(n.hosts) != 0 {
						t.Errorf("%s: %q had requests leave for %q", kind, url, n.hosts)
					}
					continue
				}
				if slices.ContainsFunc(n.hosts, func(host string) bool { return host != url }) || len(n.hosts) == 0 {
					t.Errorf("%s: %q had requests leave for %q", kind, url, n.hosts)
				}
			}
		}
	}
}

func TestNothingIsPublishedForAHostileHost(t *testing.T) {
	for _, text := range append(providertest.HostileHosts("acme", "jfrog.io"), "acme.jfrog.io") {
		spec := v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: []v1alpha1.Host{"good.example", v1alpha1.Host(text)}}
		_, got, err := hosts(&spec)
		if _, refused := registryhost.Parse(text); refused != nil {
			if err == nil || got != nil {
				t.Errorf("%q: published for %q", text, got)
			}
			continue
		}
		if diff := cmp.Diff([]string{"good.example", text}, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}
