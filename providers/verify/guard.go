package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/regcred/regcred/providers/internal/registryhost"
)

// Realms are token endpoints on another host than their registry's, by the registry's host.
type Realms map[string][]string

// wellKnown are the realms that everybody knows.
var wellKnown = Realms{
	name.DefaultRegistry:  {"auth.docker.io"},
	"registry.gitlab.com": {"gitlab.com"},
}

// ParseRealms reads pairs of a registry and its token endpoint, such as registry.example.com=gitlab.example.com.
func ParseRealms(pairs []string) (Realms, error) {
	realms := Realms{}
	for _, pair := range pairs {
		registry, realm, _ := strings.Cut(pair, "=")
		for _, text := range []string{registry, realm} {
			if _, err := registryhost.Parse(text); err != nil {
				return nil, fmt.Errorf("%q is no pair of a registry's host and that of its token endpoint, such as registry.example.com=gitlab.example.com: %w", pair, err)
			}
		}
		registry = plain(registry)
		realms[registry] = append(realms[registry], plain(realm))
	}
	return realms, nil
}

// plain is a host without the port that it has anyway.
func plain(host string) string { return strings.TrimSuffix(host, ":443") }

var (
	errForeignRealm = errors.New("the registry's challenge leads to another host")
	errRedirect     = errors.New("the registry redirects")
)

// maxRefusal bounds what is read of a refusal to see whose it is.
const maxRefusal = 64 << 10

// guard lets the requests of one trial through to the registry and to its token endpoint, over TLS, and no redirect back. It notes whether a
// refusal is the registry's verdict on the login, and where else the login was to be shown.
type guard struct {
	next     http.RoundTripper
	registry string
	realms   Realms

	verdict bool
	foreign string
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	g.verdict = false
	host := plain(r.URL.Host)
	if r.URL.Scheme != "https" || host != g.registry && !slices.Contains(wellKnown[g.registry], host) && !slices.Contains(g.realms[g.registry], host) {
		if h, err := registryhost.Parse(host); err == nil && r.URL.Scheme == "https" {
			g.foreign = h.String()
		}
		return nil, errForeignRealm
	}
	res, err := g.next.RoundTrip(r)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode >= 300 && res.StatusCode < 400:
		res.Body.Close()
		return nil, errRedirect
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		res.Body.Close()
		if err != nil {
			return nil, err
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
		// What is said before a login was shown is not about the login.
		g.verdict = r.Header.Get("Authorization") != "" && speaksOfLogin(res, body)
	}
	return res, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (g *guard) CloseIdleConnections() { (&http.Client{Transport: g.next}).CloseIdleConnections() }

// refuses says whether the error is the registry's verdict on the login.
func (g *guard) refuses(err error) bool { return isRefusal(err) && g.verdict }

// speaksOfLogin tells a registry's refusal from that of a firewall or a proxy in between. 401 asks for another login, in whatever words (a
// dead token gets plain ones at ECR and none at Artifact Registry), unless it comes as a page for people; anything may be behind a 403 that has
// no error code of the distribution specification.
func speaksOfLogin(res *http.Response, body []byte) bool {
	if res.StatusCode == http.StatusUnauthorized {
		return !bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
	}
	var answer struct{ Errors []struct{ Code string } }
	return json.Unmarshal(body, &answer) == nil && slices.ContainsFunc(answer.Errors, func(e struct{ Code string }) bool { return code.MatchString(e.Code) })
}
