package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/providers"
)

// registry takes one password for anything, and lets it pull one repository. It asks for Basic authentication, or leads to a token endpoint of its
// own as Artifactory does.
func registry(t *testing.T, bearer bool) *httptest.Server {
	t.Helper()
	const realm = "/artifactory/api/docker/team/v2/token"
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if bearer && r.URL.Path != realm {
			password = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer of-")
		}
		switch {
		case password != "good":
			challenge := `Basic realm="registry"`
			if bearer {
				challenge = fmt.Sprintf(`Bearer realm="https://%[1]s%[2]s",service=%[1]q`, r.Host, realm)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == realm:
			_, _ = w.Write([]byte(`{"token":"of-good"}`))
		case strings.HasPrefix(r.URL.Path, "/v2/team/") || r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED"}]}`))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTry(t *testing.T) {
	for challenge, bearer := range map[string]bool{"Basic": false, "Bearer": true} {
		t.Run(challenge, func(t *testing.T) { tryAll(t, registry(t, bearer)) })
	}
}

func tryAll(t *testing.T, s *httptest.Server) {
	t.Helper()
	p := With(s.Client().Transport)
	host := strings.TrimPrefix(s.URL, "https://")
	for _, c := range []struct {
		repository, password string
		want                 providers.Result
	}{{"team/app", "good", providers.PullAllowed}, {"other/app", "good", providers.PullDenied}, {"team/app", "bad", providers.LoginRefused}} {
		verdict, err := p.Try(t.Context(), providers.Login{Username: "u", Password: providers.Sensitive(c.password), Hosts: []string{host}},
			diagnosis.Image{Host: host, Repository: c.repository, Reference: "latest"})
		if err != nil || verdict.Result != c.want {
			t.Errorf("%s with %s: %+v, %v", c.repository, c.password, verdict, err)
		}
	}
}

func TestPrivateAddressesAreAsked(t *testing.T) {
	for address, refused := range map[string]bool{
		"127.0.0.1:443": true, "[::1]:443": true, "10.1.2.3:443": true, "192.168.1.1:443": true, "172.16.0.1:443": true, "169.254.169.254:80": true,
		"[fe80::1]:443": true, "[fd00::1]:443": true, "[::ffff:10.0.0.1]:443": true, "0.0.0.0:443": true, "100.100.100.200:80": true,
		"8.8.8.8:443": false, "[2606:4700::1]:443": false,
	} {
		if err := refusePrivate("tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
	s := registry(t, false)
	host := strings.TrimPrefix(s.URL, "https://")
	if _, err := New(false).Try(t.Context(), providers.Login{}, diagnosis.Image{Host: host, Repository: "team/app", Reference: "latest"}); err == nil {
		t.Error("a loopback address was reached")
	}
}

// Behind a proxy the guard would see the proxy's address for every registry.
func TestNoProxyGetsAroundTheGuard(t *testing.T) {
	if transport(false).Proxy != nil {
		t.Error("the guard is passed by a proxy")
	}
	if transport(true).Proxy == nil {
		t.Error("who allows private addresses gets no proxy")
	}
}
