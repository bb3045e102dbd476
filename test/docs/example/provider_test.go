package example

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func account(subject string) providers.Request {
	return providers.Request{Identity: providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller",
		RequestToken: func(context.Context, string, time.Duration) (string, error) { return subject, nil },
	}}}
}

// quayside trusts one subject token, and answers another with what else stands there.
func quayside(t *testing.T, answer http.HandlerFunc) Provider {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	return Provider{Client: server.Client(), Host: strings.TrimPrefix(server.URL, "https://")}
}

func TestATrustedServiceAccountGetsAToken(t *testing.T) {
	p := quayside(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" || r.FormValue("subject_token") != "good" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"token": "secret", "expires_in": 3600}`))
	})
	token, err := p.Token(t.Context(), account("good"))
	if err != nil {
		t.Fatal(err)
	}
	if got := token.Logins[0]; got.Password.Reveal() != "secret" || got.Hosts[0] != p.Host {
		t.Errorf("got %+v", got)
	}
	if life := token.ExpiresAt.Sub(token.IssuedAt); life != time.Hour {
		t.Errorf("it lives %s", life)
	}
	wantReason(t, p, account("bad"), v1alpha1.ReasonAccessDenied, providers.ScopeRequest)
}

func TestFailuresHaveTheirReasonAndScope(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		reason string
		scope  providers.Scope
	}{
		"down":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, v1alpha1.ReasonUnavailable, providers.ScopeEndpoint},
		"nonsense": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>secret")) }, v1alpha1.ReasonInvalidResponse, providers.ScopeRequest},
		"closed":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, v1alpha1.ReasonUnavailable, providers.ScopeEndpoint},
	} {
		t.Run(name, func(t *testing.T) { wantReason(t, quayside(t, c.answer), account("good"), c.reason, c.scope) })
	}
	wantReason(t, Provider{}, providers.Request{}, v1alpha1.ReasonInvalidRequest, providers.ScopeRequest)
}

func wantReason(t *testing.T, p Provider, req providers.Request, reason string, scope providers.Scope) {
	t.Helper()
	_, err := p.Token(t.Context(), req)
	var failed *providers.Error
	if !errors.As(err, &failed) || failed.Reason != reason || failed.Scope != scope {
		t.Errorf("got %v, want reason %s and scope %d", err, reason, scope)
	} else if strings.Contains(failed.Error(), "secret") {
		t.Errorf("the error shows the answer: %v", err)
	}
}
