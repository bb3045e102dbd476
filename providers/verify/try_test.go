package verify_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
)

// try tries a login that was handed out.
func (s *trial) try(ctx context.Context, t *testing.T, pull providers.Pull) (providers.Verdict, error) {
	t.Helper()
	server := httptest.NewTLSServer(s)
	defer server.Close()
	defer server.CloseClientConnections()
	rt := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	defer rt.CloseIdleConnections()
	v := &verify.Verifier{Transport: rt}
	return v.Try(ctx, request("eu-west-1"), providers.Login{Username: "user", Password: trialPassword}, pull)
}

// realm is a registry with a token endpoint: login is its answer to a request for nothing in particular, scoped to one for the
// repository, and manifest that of the registry.
func realm(login, scoped, manifest int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			status := login
			if r.URL.Query().Get("scope") != "" {
				status = scoped
			}
			w.WriteHeader(status)
			if status == http.StatusOK {
				fmt.Fprint(w, `{"token":"bearer"}`)
			}
		case r.Header.Get("Authorization") != "Bearer bearer":
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example/token",service="registry.example"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		default:
			w.WriteHeader(manifest)
		}
	}
}

// basic is a registry that takes Basic, and answers like this to a login and to a request for a manifest.
func basic(login, manifest int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", basicChallenge)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
			w.WriteHeader(login)
		default:
			w.WriteHeader(manifest)
			fmt.Fprint(w, body)
		}
	}
}

func TestATrialTellsABadLoginFromOneThatMayNotPull(t *testing.T) {
	const ok, unauthorized, forbidden = http.StatusOK, http.StatusUnauthorized, http.StatusForbidden
	denied := `{"errors":[{"code":"DENIED","message":"` + trialPassword + `"}]}`
	const allowed, refused, may = providers.PullAllowed, providers.LoginRefused, providers.PullDenied
	for name, c := range map[string]struct {
		handler func(http.ResponseWriter, *http.Request)
		want    providers.Result
		answer  string
		fails   bool
	}{
		"Basic, allowed":                       {basic(ok, ok, ""), allowed, "", false},
		"Basic, no such image":                 {basic(ok, http.StatusNotFound, ""), allowed, "", false},
		"ECR, an expired token":                {basic(forbidden, forbidden, denied), refused, "HTTP status 403, DENIED", false},
		"ECR, no permission":                   {basic(ok, forbidden, denied), may, "HTTP status 403, DENIED", false},
		"Basic, a wrong password":              {basic(unauthorized, unauthorized, ""), refused, "HTTP status 401", false},
		"Basic, 401 for the repository":        {basic(ok, unauthorized, ""), may, "HTTP status 401", false},
		"Basic, down for the login":            {basic(http.StatusBadGateway, forbidden, denied), 0, "", true},
		"Basic, down":                          {basic(ok, http.StatusBadGateway, ""), 0, "", true},
		"Bearer, allowed":                      {realm(ok, ok, ok), allowed, "", false},
		"Bearer, a wrong password":             {realm(unauthorized, unauthorized, 0), refused, "HTTP status 401", false},
		"Docker Hub, no permission":            {realm(ok, ok, unauthorized), may, "HTTP status 401", false},
		"Artifact Registry, no permission":     {realm(ok, forbidden, 0), may, "HTTP status 403", false},
		"Artifact Registry, an expired token":  {realm(forbidden, forbidden, 0), refused, "HTTP status 403", false},
		"Bearer, 403 of the registry":          {realm(ok, ok, forbidden), may, "HTTP status 403", false},
		"Bearer, no token for want of service": {realm(ok, http.StatusServiceUnavailable, 0), 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			registry := &trial{handler: c.handler}
			verdict, err := registry.try(t.Context(), t, providers.Pull{Host: trialHost, Repository: "team/app", Reference: "v7"})
			var failure *providers.Error
			if c.fails != (err != nil) || err != nil && !errors.As(err, &failure) || verdict.Result != c.want || verdict.Answer != c.answer {
				t.Fatalf("%+v, %v", verdict, err)
			}
			if (verdict.Cure == "") == (c.want != allowed) {
				t.Errorf("the cure is %q", verdict.Cure)
			}
			if text := fmt.Sprint(verdict, err); strings.Contains(text, trialPassword) {
				t.Error("the verdict quotes the registry's words")
			}
			if !c.fails && !slices.Contains(registry.asked, "HEAD "+trialHost+"/v2/team/app/manifests/v7") && c.answer == "" {
				t.Errorf("asked %v", registry.asked)
			}
		})
	}
}

func TestNoTrialAtWhatIsNoRegistry(t *testing.T) {
	registry := &trial{handler: basic(http.StatusOK, http.StatusOK, "")}
	for _, pull := range []providers.Pull{{Host: "169.254.169.254/latest", Repository: "a"}, {Host: "user@registry.example", Repository: "a"}, {Host: trialHost, Repository: "UPPER"}} {
		if _, err := registry.try(t.Context(), t, pull); err == nil {
			t.Errorf("%+v was tried", pull)
		}
	}
	if len(registry.shown) != 0 {
		t.Errorf("the login was shown to %v", registry.shown)
	}
}
