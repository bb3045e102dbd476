package providers_test

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
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
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
	v := &providers.Verifier{Transport: rt}
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

// judge is a provider whose logins are judged like this, after a second.
type judge struct {
	fake
	mu     sync.Mutex
	trials int
	err    error
}

func (j *judge) Try(context.Context, providers.Request, providers.Login, providers.Pull) (providers.Verdict, error) {
	pass(time.Second)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trials++
	return providers.Verdict{Result: providers.LoginRefused}, j.err
}

func TestALoginIsTriedOnceAMinuteForARepository(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{}
		b := broker(t, j)
		login := providers.Login{Username: "u", Password: "p"}
		pull := providers.Pull{Host: "registry.example", Repository: "a"}
		woken := 0
		for range 1000 {
			if _, err := b.Try(request("eu-west-1"), login, pull, func() { woken++ }); !isPending(err) {
				t.Fatalf("got %v, want pending", err)
			}
		}
		pass(2 * time.Second)
		synctest.Wait()
		if woken != 1000 || j.trials != 1 {
			t.Errorf("%d woken by %d trials, want 1000 by 1", woken, j.trials)
		}
		if verdict, err := b.Try(request("eu-west-1"), login, pull, func() {}); err != nil || verdict.Result != providers.LoginRefused {
			t.Errorf("%+v, %v", verdict, err)
		}
		for name, c := range map[string]struct {
			login providers.Login
			pull  providers.Pull
		}{
			"another repository": {login, providers.Pull{Host: "registry.example", Repository: "b"}},
			"another token":      {providers.Login{Username: "u", Password: "q"}, pull},
		} {
			if _, err := b.Try(request("eu-west-1"), c.login, c.pull, func() {}); !isPending(err) {
				t.Errorf("%s: %v, want a trial of its own", name, err)
			}
		}
		pass(2 * time.Minute)
		if _, err := b.Try(request("eu-west-1"), login, pull, func() {}); !isPending(err) {
			t.Errorf("after two minutes: %v, want another trial", err)
		}
		pass(2 * time.Second)
		synctest.Wait()
	})
}

func isPending(err error) bool {
	_, pending := errors.AsType[*providers.PendingError](err)
	return pending
}

func TestTrialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{err: providers.Errorf(v1alpha1.ReasonUnavailable, "down")}
		b := broker(t, j)
		pending, crowded := 0, 0
		for n := range 5000 {
			_, err := b.Try(request("eu-west-1"), providers.Login{Password: "p"}, providers.Pull{Host: "registry.example", Repository: fmt.Sprint(n)}, func() {})
			var failure *providers.Error
			switch {
			case isPending(err):
				pending++
			case errors.As(err, &failure) && failure.Reason == v1alpha1.ReasonThrottled && failure.RetryAfter > 0:
				crowded++
			default:
				t.Fatal(err)
			}
		}
		if pending != 32 || crowded != 5000-32 {
			t.Errorf("%d trials under way, %d sent away", pending, crowded)
		}
		pass(time.Minute)
		synctest.Wait()
		if j.trials > 32 {
			t.Errorf("%d trials at a registry that is down", j.trials)
		}
	})
}

func TestARefusedTokenIsMintedAnewOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := broker(t, p)
		req := request("eu-west-1")
		first, err := ask(b, req, time.Time{})
		if err != nil || b.RefusedAt(req) != "" {
			t.Fatal(err)
		}
		if !b.Refuse(req, first.ExpiresAt) {
			t.Fatal("the first refusal does not count")
		}
		if _, ok := b.Held(req); ok {
			t.Error("the refused token is still handed out")
		}
		renewed := req
		if renewed.RefusedAt = b.RefusedAt(req); renewed.RefusedAt == "" || renewed.Source() != req.Source() || renewed.Key() == req.Key() {
			t.Errorf("refused at %q: the source must be the same, and the request another", renewed.RefusedAt)
		}
		second, err := ask(b, renewed, time.Time{})
		if err != nil || second.Logins[0].Password == first.Logins[0].Password {
			t.Errorf("the refused token came back: %v", err)
		}
		// Whoever asks as before gets no refused token either.
		if again, err := ask(b, req, time.Time{}); err != nil || again.Logins[0].Password == first.Logins[0].Password {
			t.Errorf("the refused token came back: %v", err)
		}
		if held, ok := b.Held(req); !ok || held.Logins[0].Password == first.Logins[0].Password {
			t.Error("the new token is not held")
		}
		if b.Refuse(req, second.ExpiresAt) {
			t.Error("a refusal within the minute counts")
		}
		pass(time.Minute)
		if !b.Refuse(req, second.ExpiresAt) || b.RefusedAt(req) == renewed.RefusedAt {
			t.Error("a refusal after the minute does not count")
		}
		pass(13 * time.Hour)
		if got := b.RefusedAt(req); got != "" {
			t.Errorf("refused at %s, after the end of the token", got)
		}
	})
}

func TestTheRefusalOfATokenWithoutEndIsForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := broker(t, &fake{})
		b.Refuse(request("eu-west-1"), providers.Never)
		pass(23 * time.Hour)
		if b.RefusedAt(request("eu-west-1")) == "" {
			t.Error("forgotten within a day")
		}
		pass(2 * time.Hour)
		if got := b.RefusedAt(request("eu-west-1")); got != "" {
			t.Errorf("refused at %s, days later", got)
		}
	})
}
