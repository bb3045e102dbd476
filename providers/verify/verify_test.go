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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
)

const (
	trialHost     = "registry.example"
	trialPassword = "canary-trial"
)

func request(region string) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
}

// minted is a provider with one token.
type minted struct{ hosts []string }

func (m minted) Token(context.Context, providers.Request) (providers.Token, error) {
	return providers.Token{
		Logins:    []providers.Login{{Username: "user", Password: trialPassword, Hosts: m.hosts}},
		ExpiresAt: time.Now().Add(time.Hour),
	}, nil
}

// trial is a registry of every name, and what it was asked.
type trial struct {
	handler func(w http.ResponseWriter, r *http.Request)

	mu sync.Mutex
	// shown are the hosts that a password or token was shown to.
	shown []string
	asked []string
}

func (s *trial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.Host+r.URL.Path)
	if r.Header.Get("Authorization") != "" {
		s.shown = append(s.shown, r.Host)
	}
	s.mu.Unlock()
	s.handler(w, r)
}

// run tries a token for team/app at the hosts.
func (s *trial) run(ctx context.Context, t *testing.T, spec v1alpha1.Verify, hosts ...string) (token providers.Token, result string, err error) {
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
	v := &verify.Verifier{Provider: minted{hosts}, Transport: rt, Observe: func(r string) { result = r }}
	req := request("eu-west-1")
	req.Registry.Verify = &spec
	token, err = v.Token(ctx, req)
	return token, result, err
}

const basicChallenge = `Basic realm="https://registry.example/",service="ecr.amazonaws.com"`

// answers is a registry that takes Basic and answers a request for a manifest like this.
func answers(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", basicChallenge)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		default:
			w.Header().Set("Location", "https://evil.example/v2/team/app/manifests/latest")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
}

// bearers is a registry with a token endpoint that answers like this.
func bearers(realm string, tokenStatus, status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/token"):
			w.WriteHeader(tokenStatus)
			if tokenStatus == http.StatusOK {
				fmt.Fprint(w, `{"token":"bearer"}`)
				return
			}
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"`+trialPassword+`"}]}`)
		case r.Header.Get("Authorization") == "Bearer bearer":
			w.WriteHeader(status)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="registry.example"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

func TestATrialProvesCondemnsOrSaysNothing(t *testing.T) {
	const own = "https://registry.example/token"
	denied := `{"errors":[{"code":"DENIED","message":"` + trialPassword + `"}]}`
	for name, c := range map[string]struct {
		handler func(http.ResponseWriter, *http.Request)
		want    string
		quotes  string
	}{
		"200":                            {answers(http.StatusOK, ""), "proven", ""},
		"404":                            {answers(http.StatusNotFound, ""), "proven", ""},
		"401":                            {answers(http.StatusUnauthorized, ""), "refused", "401"},
		"403":                            {answers(http.StatusForbidden, denied), "refused", "403, DENIED"},
		"403 with an odd code":           {answers(http.StatusForbidden, `{"errors":[{"code":"<b>x</b>"}]}`), "refused", "403)"},
		"403 of a proxy":                 {answers(http.StatusForbidden, "<html>"+trialPassword), "refused", "403)"},
		"400":                            {answers(http.StatusBadRequest, denied), "unknown", ""},
		"429":                            {answers(http.StatusTooManyRequests, denied), "unknown", ""},
		"500":                            {answers(http.StatusInternalServerError, denied), "unknown", ""},
		"503":                            {answers(http.StatusServiceUnavailable, denied), "unknown", ""},
		"a redirect":                     {answers(http.StatusTemporaryRedirect, ""), "unknown", ""},
		"a bearer token, 200":            {bearers(own, http.StatusOK, http.StatusOK), "proven", ""},
		"a bearer token, 404":            {bearers(own, http.StatusOK, http.StatusNotFound), "proven", ""},
		"a bearer token without pull":    {bearers(own, http.StatusOK, http.StatusForbidden), "refused", "403"},
		"no bearer token, 401":           {bearers(own, http.StatusUnauthorized, 0), "refused", "401, UNAUTHORIZED"},
		"no bearer token, 403":           {bearers(own, http.StatusForbidden, 0), "refused", "403, UNAUTHORIZED"},
		"no bearer token, 429":           {bearers(own, http.StatusTooManyRequests, 0), "unknown", ""},
		"no bearer token, 500":           {bearers(own, http.StatusBadGateway, 0), "unknown", ""},
		"a realm on another host":        {bearers("https://evil.example/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"a realm on another port":        {bearers("https://registry.example:8443/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"a realm below the host":         {bearers("https://registry.example.evil.example/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"a realm without TLS":            {bearers("http://registry.example/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"a realm with user information":  {bearers("https://registry.example@evil.example/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"a realm of a metadata service":  {bearers("https://169.254.169.254/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"the realm of another registry":  {bearers("https://auth.docker.io/token", http.StatusOK, http.StatusOK), "unknown", ""},
		"an answer that is no challenge": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "unknown", ""},
		"a challenge that is none":       {bearers("::", http.StatusOK, http.StatusOK), "unknown", ""},
		"a connection that closes":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unknown", ""},
	} {
		t.Run(name, func(t *testing.T) {
			registry := &trial{handler: c.handler}
			token, result, err := registry.run(t.Context(), t, v1alpha1.Verify{Repository: "team/app"}, trialHost)
			if result != c.want {
				t.Errorf("%s, want %s (%v)", result, c.want, err)
			}
			checkTrial(t, token, err, c.want, c.quotes)
			for _, host := range registry.shown {
				if host != trialHost {
					t.Errorf("the credentials were shown to %s", host)
				}
			}
		})
	}
}

func checkTrial(t *testing.T, token providers.Token, err error, result, quotes string) {
	t.Helper()
	verified := map[string]metav1.ConditionStatus{"proven": metav1.ConditionTrue, "unknown": metav1.ConditionUnknown}[result]
	if token.Verified != verified || (len(token.Logins) == 0) != (result == "refused") {
		t.Errorf("Verified=%q with %d logins", token.Verified, len(token.Logins))
	}
	if result != "refused" {
		if err != nil {
			t.Errorf("a trial that condemns nothing failed: %v", err)
		}
		return
	}
	var failure *providers.Error
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonVerificationFailed || failure.Terminal {
		t.Fatalf("got %v, want VerificationFailed", err)
	}
	text := failure.Error()
	for _, want := range []string{trialHost + "/team/app", quotes, "ecr:BatchGetImage"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not speak of %s", text, want)
		}
	}
	if strings.Contains(text, trialPassword) || strings.Contains(text, "<") {
		t.Error("the message quotes the registry's words")
	}
}

func TestAHungRegistryProvesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	registry := &trial{handler: func(_ http.ResponseWriter, r *http.Request) {
		cancel() // as the end of the time would
		<-r.Context().Done()
	}}
	token, result, err := registry.run(ctx, t, v1alpha1.Verify{Repository: "team/app"}, trialHost)
	if err != nil || result != "unknown" || token.Verified != metav1.ConditionUnknown {
		t.Errorf("%s: %v", result, err)
	}
}

func TestDockerHubIsTriedWithItsOwnRealm(t *testing.T) {
	registry := &trial{handler: bearers("https://auth.docker.io/token", http.StatusOK, http.StatusOK)}
	_, result, err := registry.run(t.Context(), t, v1alpha1.Verify{Repository: "library/busybox"}, "docker.io")
	if err != nil || result != "proven" {
		t.Errorf("%s: %v", result, err)
	}
	if slices.ContainsFunc(registry.shown, func(h string) bool { return h != "auth.docker.io" && h != "index.docker.io" }) {
		t.Errorf("credentials shown to %v", registry.shown)
	}
}

func TestTheHostToTryIsAMatterOfChoice(t *testing.T) {
	registry := &trial{handler: answers(http.StatusOK, "")}
	_, result, err := registry.run(t.Context(), t, v1alpha1.Verify{Repository: "team/app", Host: "second.example"}, trialHost, "second.example")
	if err != nil || result != "proven" || !slices.Contains(registry.asked, "HEAD second.example/v2/team/app/manifests/latest") ||
		slices.ContainsFunc(registry.asked, func(s string) bool { return strings.Contains(s, trialHost) }) {
		t.Errorf("%s, %v: asked %v", result, err, registry.asked)
	}
	_, result, err = registry.run(t.Context(), t, v1alpha1.Verify{Repository: "team/app", Host: "third.example"}, trialHost)
	var failure *providers.Error
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonInvalidRequest || !strings.Contains(err.Error(), "third.example") {
		t.Errorf("%s: got %v, want a refusal that names the host", result, err)
	}
	// What no client can ask for is passed over.
	if _, result, err = registry.run(t.Context(), t, v1alpha1.Verify{Repository: "team/app"}, "*.example", trialHost); err != nil || result != "proven" {
		t.Errorf("%s: %v", result, err)
	}
}

func TestWhatIsNotAskedForIsNotTried(t *testing.T) {
	tried := false
	v := &verify.Verifier{Provider: minted{[]string{trialHost}}, Observe: func(string) { tried = true }}
	token, err := v.Token(t.Context(), request("eu-west-1"))
	if err != nil || token.Verified != "" || tried {
		t.Errorf("Verified=%q, %v", token.Verified, err)
	}
}

func TestATrialShowsTheLoginOfItsHost(t *testing.T) {
	registry := &trial{handler: func(w http.ResponseWriter, r *http.Request) {
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+trialPassword))
		if got := r.Header.Get("Authorization"); got != "" && got != want {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answers(http.StatusOK, "")(w, r)
	}}
	if _, result, err := registry.run(t.Context(), t, v1alpha1.Verify{Repository: "team/app"}, trialHost); err != nil || result != "proven" {
		t.Errorf("%s: %v", result, err)
	}
}
