package verify_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
)

const (
	host   = "registry.example"
	canary = "canary-trial"
)

var app = providers.Pull{Host: host, Repository: "team/app", Reference: "v7"}

// registry is one of every name, and what it was asked.
type registry struct {
	handler http.HandlerFunc
	realms  verify.Realms

	mu sync.Mutex
	// shown are the hosts that a password or token was shown to, and connections how many there were.
	shown       []string
	asked       []string
	connections int
}

func (s *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.Host+r.URL.Path)
	if r.Header.Get("Authorization") != "" {
		s.shown = append(s.shown, r.Host)
	}
	s.mu.Unlock()
	s.handler(w, r)
}

// trials returns Trials for which every host is this registry.
func (s *registry) trials(t *testing.T) *verify.Trials {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	rt := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(rt.CloseIdleConnections)
	return verify.New(rt, s.realms)
}

// try tries a login that was handed out.
func (s *registry) try(ctx context.Context, t *testing.T, pull providers.Pull) (providers.Verdict, error) {
	t.Helper()
	return s.trials(t).Try(ctx, providers.Login{Username: "user", Password: canary}, pull)
}

const (
	basicChallenge = `Basic realm="https://registry.example/",service="ecr.amazonaws.com"`
	denied         = `{"errors":[{"code":"DENIED","message":"` + canary + `"}]}`
	unauthorized   = `{"errors":[{"code":"UNAUTHORIZED","message":"` + canary + `"}]}`
	proxyPage      = "<html><head><title>" + canary + "</title></head></html>"
)

// answer is what a registry says: a status and a body. A 401 asks for another login, as every server has to.
type answer struct {
	status int
	body   string
}

func (a answer) write(w http.ResponseWriter) {
	if a.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", basicChallenge)
	}
	w.Header().Set("Location", "https://evil.example/v2/team/app/manifests/latest")
	w.WriteHeader(a.status)
	fmt.Fprint(w, a.body)
}

// basic is a registry that takes Basic, and answers like this to a login and to a request for a manifest.
func basic(login, manifest answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "":
			answer{http.StatusUnauthorized, unauthorized}.write(w)
		case r.URL.Path == "/v2/":
			login.write(w)
		default:
			manifest.write(w)
		}
	}
}

// bearer is a registry with a token endpoint at the realm: login is its answer to a request for nothing in particular, scoped to one for
// the repository, and manifest that of the registry.
func bearer(realm string, login, scoped, manifest answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			a := login
			if r.URL.Query().Get("scope") != "" {
				a = scoped
			}
			a.write(w)
		case r.Header.Get("Authorization") != "Bearer bearer":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="registry.example"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		default:
			manifest.write(w)
		}
	}
}

// The outcomes of a trial.
const (
	allowed   = "allowed"
	may       = "may not pull"
	refused   = "refused"
	undecided = "undecided"
)

func outcome(v providers.Verdict, err error) string {
	if err != nil {
		return undecided
	}
	return map[providers.Result]string{providers.PullAllowed: allowed, providers.PullDenied: may, providers.LoginRefused: refused}[v.Result]
}

func TestATrialTellsABadLoginFromOneThatMayNotPullAndFromNeither(t *testing.T) {
	const own = "https://registry.example/token"
	ok, token := answer{http.StatusOK, ""}, answer{http.StatusOK, `{"token":"bearer"}`}
	status := func(n int) answer { return answer{n, ""} }
	always := func(a answer) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { a.write(w) } }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
		answer  string
	}{
		"Basic, allowed":                       {basic(ok, ok), allowed, ""},
		"Basic, no such image":                 {basic(ok, status(404)), allowed, ""},
		"ECR, an expired token":                {basic(answer{403, denied}, answer{403, denied}), refused, "HTTP status 403, DENIED"},
		"ECR, no permission":                   {basic(ok, answer{403, denied}), may, "HTTP status 403, DENIED"},
		"Basic, a wrong password":              {basic(answer{401, unauthorized}, answer{401, unauthorized}), refused, "HTTP status 401, UNAUTHORIZED"},
		"Basic, a wrong password, plain words": {basic(answer{401, "Not Authorized"}, answer{401, "Not Authorized"}), refused, "HTTP status 401"},
		"Basic, a wrong password, no words":    {basic(status(401), status(401)), refused, "HTTP status 401"},
		"Basic, 401 for the repository":        {basic(ok, status(401)), may, "HTTP status 401"},
		"Basic, an odd code":                   {basic(ok, answer{403, `{"errors":[{"code":"<b>x</b>"}]}`}), undecided, ""},
		"Basic, down for the login":            {basic(status(502), answer{403, denied}), undecided, ""},
		"Basic, down":                          {basic(ok, status(502)), undecided, ""},
		"Basic, 400":                           {basic(ok, answer{400, denied}), undecided, ""},
		"Basic, 429":                           {basic(ok, answer{429, denied}), undecided, ""},
		"Basic, a redirect":                    {basic(ok, status(307)), undecided, ""},
		"a proxy's page, with the login":       {basic(ok, answer{403, proxyPage}), undecided, ""},
		"a proxy's page as a 401":              {basic(answer{401, proxyPage}, answer{401, proxyPage}), undecided, ""},
		"a proxy's page, at once":              {always(answer{403, proxyPage}), undecided, ""},
		"ACR's firewall, at once":              {always(answer{403, denied}), undecided, ""},
		"no words at all":                      {basic(ok, status(403)), undecided, ""},
		"Bearer, allowed":                      {bearer(own, token, token, ok), allowed, ""},
		"Bearer, no such image":                {bearer(own, token, token, status(404)), allowed, ""},
		"Bearer, a wrong password":             {bearer(own, answer{401, unauthorized}, answer{401, unauthorized}, ok), refused, "HTTP status 401, UNAUTHORIZED"},
		"Docker Hub, a wrong password":         {bearer(own, answer{401, `{"details":"incorrect username or password"}`}, answer{401, `{"details":"x"}`}, ok), refused, "HTTP status 401"},
		"Docker Hub, no permission":            {bearer(own, token, token, answer{401, unauthorized}), may, "HTTP status 401, UNAUTHORIZED"},
		"Artifact Registry, no permission":     {bearer(own, token, answer{403, denied}, ok), may, "HTTP status 403, DENIED"},
		"Artifact Registry, an expired token":  {bearer(own, answer{403, denied}, answer{403, denied}, ok), refused, "HTTP status 403, DENIED"},
		"Artifact Registry, a dead token":      {bearer(own, answer{401, ""}, answer{401, ""}, ok), refused, "HTTP status 401"},
		"Bearer, 403 of the registry":          {bearer(own, token, token, answer{403, denied}), may, "HTTP status 403, DENIED"},
		"Bearer, a proxy before the realm":     {bearer(own, answer{403, proxyPage}, answer{403, proxyPage}, ok), undecided, ""},
		"Bearer, no token for want of service": {bearer(own, token, status(503), ok), undecided, ""},
		"a realm on another host":              {bearer("https://evil.example/token", token, token, ok), undecided, ""},
		"a realm on another port":              {bearer("https://registry.example:8443/token", token, token, ok), undecided, ""},
		"a realm below the host":               {bearer("https://registry.example.evil.example/token", token, token, ok), undecided, ""},
		"a realm without TLS":                  {bearer("http://registry.example/token", token, token, ok), undecided, ""},
		"a realm with user information":        {bearer("https://registry.example@evil.example/token", token, token, ok), undecided, ""},
		"a realm of a metadata service":        {bearer("https://169.254.169.254/token", token, token, ok), undecided, ""},
		"the realm of another registry":        {bearer("https://auth.docker.io/token", token, token, ok), undecided, ""},
		"a realm with the port that it has":    {bearer("https://registry.example:443/token", token, token, ok), allowed, ""},
		"an answer that is no challenge":       {always(status(418)), undecided, ""},
		"a challenge that is none":             {bearer("::", token, token, ok), undecided, ""},
		"a connection that closes":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, undecided, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &registry{handler: c.handler}
			verdict, err := s.try(t.Context(), t, app)
			if got := outcome(verdict, err); got != c.want || verdict.Answer != c.answer {
				t.Errorf("%s %q, want %s %q (%v)", got, verdict.Answer, c.want, c.answer, err)
			}
			if _, ok := errors.AsType[*providers.Error](err); err != nil && !ok {
				t.Errorf("%T is no error of ours", err)
			}
			if text := fmt.Sprint(verdict, err); strings.Contains(text, canary) || strings.Contains(text, "<b>") || strings.Contains(text, "<html>") {
				t.Error("the outcome quotes the registry's words")
			}
			if slices.ContainsFunc(s.shown, func(h string) bool { return strings.TrimSuffix(h, ":443") != host }) {
				t.Errorf("the credentials were shown to %v", s.shown)
			}
			if c.want == allowed && !slices.Contains(s.asked, "HEAD "+host+"/v2/team/app/manifests/v7") {
				t.Errorf("asked %v", s.asked)
			}
		})
	}
}

func TestWhatIsTheRegistrysOwnFaultIsSaidToBe(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    providers.Scope
	}{
		"a server error":           {basic(answer{502, ""}, answer{502, ""}), providers.ScopeEndpoint},
		"a request for patience":   {basic(answer{429, ""}, answer{429, ""}), providers.ScopeEndpoint},
		"a connection that closes": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, providers.ScopeEndpoint},
		"a proxy's page":           {basic(answer{200, ""}, answer{403, proxyPage}), providers.ScopeRequest},
		"a redirect":               {basic(answer{200, ""}, answer{307, ""}), providers.ScopeRequest},
		"a foreign realm":          {bearer("https://evil.example/token", answer{}, answer{}, answer{}), providers.ScopeRequest},
	} {
		_, err := (&registry{handler: c.handler}).try(t.Context(), t, app)
		if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Scope != c.want {
			t.Errorf("%s: %v with scope %v", name, err, failure.Scope)
		}
	}
	// A name that nobody has is the mistake of who wrote it.
	rt := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}}
	_, err := verify.New(rt, nil).Try(t.Context(), providers.Login{}, app)
	if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Scope != providers.ScopeRequest {
		t.Errorf("no such host: %v", err)
	}
}

func TestAHungRegistryProvesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &registry{handler: func(_ http.ResponseWriter, r *http.Request) {
		cancel() // as the end of the time would
		<-r.Context().Done()
	}}
	if verdict, err := s.try(ctx, t, app); err == nil {
		t.Errorf("%+v", verdict)
	}
}

func TestRealmsThatTheAdministratorAllows(t *testing.T) {
	realms, err := verify.ParseRealms([]string{"registry.example:443=gitlab.example", "other.example:5050=auth.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	token := answer{http.StatusOK, `{"token":"bearer"}`}
	for realm, want := range map[string]string{
		"https://gitlab.example/token":      allowed,
		"https://gitlab.example:443/token":  allowed,
		"https://gitlab.example:8443/token": undecided,
		"http://gitlab.example/token":       undecided,
		"https://auth.example:8443/token":   undecided, // another registry's
		"https://evil.example/token":        undecided,
	} {
		s := &registry{handler: bearer(realm, token, token, answer{http.StatusOK, ""}), realms: realms}
		verdict, err := s.try(t.Context(), t, app)
		if got := outcome(verdict, err); got != want {
			t.Errorf("%s: %s, want %s (%v)", realm, got, want, err)
		}
	}
	s := &registry{handler: bearer("https://elsewhere.example/token", token, token, token)}
	if _, err := s.try(t.Context(), t, app); err == nil || !strings.Contains(err.Error(), "--registry-realms=registry.example=elsewhere.example") {
		t.Errorf("%v does not say which realm the administrator would have to allow", err)
	}
	for _, text := range []string{"registry.example", "=gitlab.example", "registry.example=", "https://registry.example=gitlab.example", "registry.example=gitlab.example/jwt/auth", "*=gitlab.example"} {
		if _, err := verify.ParseRealms([]string{text}); err == nil {
			t.Errorf("%q passes for a pair", text)
		}
	}
}

// inProcess is a registry without a network.
type inProcess func(w http.ResponseWriter, r *http.Request)

func (f inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	f(answer, r)
	res := answer.Result()
	res.Request = r
	return res, nil
}

func TestNoLoginGoesWithoutTLSOrWhereARedirectLeads(t *testing.T) {
	token := answer{http.StatusOK, `{"token":"bearer"}`}
	for name, realm := range map[string]string{"without TLS": "http://registry.example/token", "a redirect": "https://registry.example/moved"} {
		answers := bearer(realm, token, token, answer{http.StatusOK, ""})
		trials := verify.New(inProcess(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Scheme != "https" || r.URL.Path == "/token":
				t.Errorf("%s: %s was asked for", name, r.URL)
			case r.URL.Path == "/moved":
				http.Redirect(w, r, "https://registry.example/token", http.StatusTemporaryRedirect)
				return
			}
			answers(w, r)
		}), nil)
		if verdict, err := trials.Try(t.Context(), providers.Login{Username: "user", Password: canary}, app); err == nil {
			t.Errorf("%s: %+v", name, verdict)
		}
	}
}

// unreachable is a registry that answers nothing.
type unreachable func(*http.Request)

func (f unreachable) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return nil, errors.New("no answer")
}

// The library asks hosts of a local network without TLS where they do not answer with it.
func TestNoTrialFallsBackToPlainText(t *testing.T) {
	for _, local := range []string{"registry.local", "10.1.2.3:5000", "localhost:5000"} {
		trials := verify.New(unreachable(func(r *http.Request) {
			if r.URL.Scheme != "https" {
				t.Errorf("%s was asked for", r.URL)
			}
		}), nil)
		if verdict, err := trials.Try(t.Context(), providers.Login{Username: "user", Password: canary}, providers.Pull{Host: local, Repository: "app", Reference: "v1"}); err == nil {
			t.Errorf("%s: %+v", local, verdict)
		}
	}
}

func TestDockerHubIsTriedWithItsOwnRealm(t *testing.T) {
	token := answer{http.StatusOK, `{"token":"bearer"}`}
	s := &registry{handler: bearer("https://auth.docker.io/token", token, token, answer{http.StatusOK, ""})}
	verdict, err := s.try(t.Context(), t, providers.Pull{Host: "docker.io", Repository: "library/busybox", Reference: "latest"})
	if outcome(verdict, err) != allowed {
		t.Errorf("%+v, %v", verdict, err)
	}
	if slices.ContainsFunc(s.shown, func(h string) bool { return h != "auth.docker.io" && h != "index.docker.io" }) {
		t.Errorf("credentials shown to %v", s.shown)
	}
}

func TestTrialsShareTheirConnections(t *testing.T) {
	s := &registry{handler: basic(answer{http.StatusOK, ""}, answer{http.StatusOK, ""})}
	trials := s.trials(t)
	for range 20 {
		if _, err := trials.Try(t.Context(), providers.Login{Username: "user", Password: canary}, app); err != nil {
			t.Fatal(err)
		}
	}
	if s.connections > 2 {
		t.Errorf("%d connections for 20 trials one after the other", s.connections)
	}
}

func TestNoTrialAtWhatIsNoRegistry(t *testing.T) {
	s := &registry{handler: basic(answer{http.StatusOK, ""}, answer{http.StatusOK, ""})}
	for _, pull := range []providers.Pull{{Host: "169.254.169.254/latest", Repository: "a"}, {Host: "user@registry.example", Repository: "a"}, {Host: host, Repository: "UPPER"}} {
		if _, err := s.try(t.Context(), t, pull); err == nil {
			t.Errorf("%+v was tried", pull)
		}
	}
	if len(s.shown) != 0 {
		t.Errorf("the login was shown to %v", s.shown)
	}
}

func TestATrialShowsTheLoginThatItIsGiven(t *testing.T) {
	s := &registry{handler: func(w http.ResponseWriter, r *http.Request) {
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canary))
		if got := r.Header.Get("Authorization"); got != "" && got != want {
			answer{http.StatusForbidden, denied}.write(w)
			return
		}
		basic(answer{http.StatusOK, ""}, answer{http.StatusOK, ""})(w, r)
	}}
	if verdict, err := s.try(t.Context(), t, app); outcome(verdict, err) != allowed {
		t.Errorf("%+v, %v", verdict, err)
	}
}

func TestTheHostToTryIsAMatterOfChoice(t *testing.T) {
	token := providers.Token{Logins: []providers.Login{{Username: "one", Hosts: []string{"*.example", host}}, {Username: "two", Hosts: []string{"second.example"}}}}
	req := func(v v1alpha1.Verify) providers.Request {
		return providers.Request{Registry: v1alpha1.Registry{Verify: &v}}
	}
	trials := verify.New(nil, nil)
	for name, c := range map[string]struct {
		verify           v1alpha1.Verify
		host, user, fail string
	}{
		"the first that any client can ask for": {v1alpha1.Verify{Repository: "team/app"}, host, "one", ""},
		"the one that is named":                 {v1alpha1.Verify{Repository: "team/app", Host: "second.example"}, "second.example", "two", ""},
		"one of another entry":                  {v1alpha1.Verify{Repository: "team/app", Host: "third.example"}, "", "", "third.example"},
		"no repository":                         {v1alpha1.Verify{Repository: "UPPER"}, "", "", "verify.repository"},
	} {
		login, pull, err := trials.Pick(req(c.verify), token)
		if c.fail == "" {
			if want := (providers.Pull{Host: c.host, Repository: "team/app", Reference: "latest"}); err != nil || pull != want || login.Username != c.user {
				t.Errorf("%s: %+v for %s, %v", name, pull, login.Username, err)
			}
			continue
		}
		if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Reason != v1alpha1.ReasonInvalidRequest || !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
