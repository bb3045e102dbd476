package artifactory_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

// answer is what something in front of the platform says to everything.
func answer(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

const (
	loginPage = "<html><title>" + cloud.CanaryJFrog + "</title></html>"
	errorJSON = `{"errors":[{"code":"FORBIDDEN","message":"` + cloud.CanaryJFrog + `"}]}`
)

func TestOddAnswersAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.Handler
		reason  string
		says    []string
	}{
		"login page":               {answer(http.StatusOK, "text/html; charset=utf-8", loginPage), v1alpha1.ReasonInvalidResponse, []string{"something else than JSON", "proxy"}},
		"JSON that is called HTML": {answer(http.StatusOK, "text/html", `{"access_token":"x","expires_in":60,"username":"u"}`), v1alpha1.ReasonInvalidResponse, []string{"something else than JSON"}},
		"HTML that is called JSON": {answer(http.StatusOK, "application/json", loginPage), v1alpha1.ReasonInvalidResponse, []string{"something else than JSON"}},
		"nothing":                  {answer(http.StatusOK, "application/json", "{}"), v1alpha1.ReasonInvalidResponse, []string{"without a token"}},
		"a token with a line break": {answer(http.StatusOK, "application/json", `{"access_token":"x\ny","expires_in":60,"username":"u"}`),
			v1alpha1.ReasonInvalidResponse, []string{"without a token"}},
		"a token without an end":      {answer(http.StatusOK, "application/json", `{"access_token":"x","username":"u"}`), v1alpha1.ReasonInvalidResponse, []string{"no expiry"}},
		"a token of nobody":           {answer(http.StatusOK, "application/json", `{"access_token":"x","expires_in":60}`), v1alpha1.ReasonInvalidResponse, []string{"no user", "identity mapping"}},
		"a user that no header holds": {answer(http.StatusOK, "application/json", `{"access_token":"x","expires_in":60,"username":"a:b"}`), v1alpha1.ReasonInvalidResponse, []string{"no user"}},
		"too much":                    {answer(http.StatusOK, "application/json", `{"access_token":"`+strings.Repeat("x", 65<<10)+`"}`), v1alpha1.ReasonInvalidResponse, []string{"more than 64 KiB"}},
		"a firewall":                  {answer(http.StatusForbidden, "text/html", loginPage), v1alpha1.ReasonInvalidResponse, []string{"HTTP status 403", "proxy or firewall"}},
		"another server":              {answer(http.StatusNotFound, "text/plain", "404 page not found"), v1alpha1.ReasonInvalidResponse, []string{"HTTP status 404", "artifactory.url"}},
		"JFrog":                       {answer(http.StatusForbidden, "application/json", errorJSON), v1alpha1.ReasonAccessDenied, []string{"identity mapping"}},
		"JFrog without a word":        {answer(http.StatusForbidden, "", ""), v1alpha1.ReasonAccessDenied, []string{"identity mapping"}},
		"a status without a meaning":  {answer(http.StatusTeapot, "application/json", errorJSON), v1alpha1.ReasonInvalidResponse, []string{"HTTP status 418"}},
		"a broken gateway":            {answer(http.StatusBadGateway, "text/html", loginPage), v1alpha1.ReasonUnavailable, []string{"HTTP status 502", "tried again"}},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			jfrog.PutInFront(c.handler)
			_, err := exchange(t, jfrog)
			wantError(t, err, c.reason, c.says...)
		})
	}
}

func TestATokenTooManyOfOneUserIsNoFaultOfThePlatform(t *testing.T) {
	for status, want := range map[int]providers.Scope{
		http.StatusTooManyRequests: providers.ScopeRequest, http.StatusServiceUnavailable: providers.ScopeEndpoint,
	} {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		jfrog.PutInFront(answer(status, "application/json", errorJSON))
		_, err := exchange(t, jfrog)
		if known, ok := errors.AsType[*providers.Error](err); !ok || known.Scope != want {
			t.Errorf("HTTP status %d: %v, want scope %d", status, err, want)
		}
	}
}

// Which status says what of an exchange is not public but for one: whatever it is, the entry's owner is told what can be wrong, and the platform
// does not rest for others.
func TestEveryStatusOfARefusedExchangeIsExplained(t *testing.T) {
	body := map[int]string{facts.JFrogWrongAudience.Status: facts.JFrogWrongAudience.Body}
	cures := map[int]string{
		http.StatusBadRequest: "integration cluster exists and expects this audience", http.StatusUnauthorized: "keys of the cluster's issuer",
		http.StatusForbidden: "identity mapping of the integration cluster", http.StatusNotFound: "create the OpenID Connect integration cluster",
		http.StatusTooManyRequests: "one request too many",
	}
	for status := http.StatusBadRequest; status < http.StatusInternalServerError; status++ {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		jfrog.PutInFront(answer(status, "application/json", cmp.Or(body[status], errorJSON)))
		_, err := exchange(t, jfrog)
		known, ok := errors.AsType[*providers.Error](err)
		if !ok || known.Scope != providers.ScopeRequest || known.Reason == v1alpha1.ReasonUnavailable || known.Reason == v1alpha1.ReasonInternal {
			t.Errorf("HTTP status %d: %v", status, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, fmt.Sprintf("HTTP status %d", status)) || !strings.Contains(text, cmp.Or(cures[status], "artifactory.url")) {
			t.Errorf("HTTP status %d: %s", status, text)
		}
	}
}

func exchange(t *testing.T, jfrog *cloud.JFrog) (providers.Token, error) {
	t.Helper()
	return newProvider(t, jfrog.Transport()).Token(t.Context(),
		request(v1alpha1.Artifactory{URL: jfrog.URL(), ProviderName: "cluster"}, serviceAccount(t, nil)))
}

// A redirect would carry the token to whoever it names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		var paths []string
		jfrog.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			paths = append(paths, r.URL.Path)
			http.Redirect(w, r, jfrog.URL()+"/elsewhere", status)
		}))
		_, err := exchange(t, jfrog)
		wantError(t, err, v1alpha1.ReasonInvalidRequest, "redirect", "artifactory.url")
		if len(paths) != 1 {
			t.Errorf("%d: requests for %q", status, paths)
		}
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2031, time.May, 4, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "": 0, "soon": 0, "-5": 0, "99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		jfrog.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", now.Format(http.TimeFormat))
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		_, err := exchange(t, jfrog)
		if known, ok := errors.AsType[*providers.Error](err); !ok || known.Reason != v1alpha1.ReasonUnavailable || known.RetryAfter != want {
			t.Errorf("%q: %v, want %s", value, err, want)
		}
	}
}

// An answer without a life leaves the end in the token itself, which is of JFrog's clock.
func TestTheExpiryIsReadFromTheTokenIfTheAnswerDoesNotSay(t *testing.T) {
	for _, ahead := range []time.Duration{0, 20 * time.Minute, -20 * time.Minute} {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		theirs := time.Now().Add(ahead)
		jfrog.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", theirs.UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": signed(t, "jfac@1/users/puller", theirs.Add(time.Hour))})
		}))
		token, err := exchange(t, jfrog)
		if err != nil {
			t.Fatal(err)
		}
		if life := time.Until(token.ExpiresAt); life < 58*time.Minute || life > 62*time.Minute {
			t.Errorf("with JFrog's clock %s ahead, a token of 1h is said to live for %s", ahead, life)
		}
	}
}

func TestTheUserOfASubject(t *testing.T) {
	for subject, want := range map[string]string{
		"jfac@01h/users/puller": "puller", "jfrt@01h/users/ci@acme.example": "ci@acme.example", "puller": "puller",
		"system:serviceaccount:team-a:puller": "", "jfac@01h/users/": "", "": "",
	} {
		jfrog := startJFrog(t, cloud.JFrogOptions{})
		jfrog.PutInFront(answer(http.StatusOK, "application/json",
			fmt.Sprintf(`{"access_token":%q,"expires_in":60}`, signed(t, subject, time.Now()))))
		token, err := exchange(t, jfrog)
		if want == "" {
			wantError(t, err, v1alpha1.ReasonInvalidResponse, "no user")
			continue
		}
		if err != nil || token.Logins[0].Username != want {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

func signed(t *testing.T, subject string, expires time.Time) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": subject, "exp": expires.Unix(), "aud": "*@*"}).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A life that no clock can hold is one without end.
func TestAnEndlessLifeIsOne(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	jfrog.PutInFront(answer(http.StatusOK, "application/json", `{"access_token":"x","expires_in":9223372036854775807,"username":"u"}`))
	token, err := exchange(t, jfrog)
	if err != nil || !token.ExpiresAt.Equal(providers.Never) {
		t.Errorf("expires at %s, %v", token.ExpiresAt, err)
	}
}

func TestAPlatformThatCannotBeReachedIsExplained(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	t.Setenv("HTTPS_PROXY", "")
	for name, c := range map[string]struct {
		transport         http.RoundTripper
		url, reason, says string
	}{
		"no listener":       {refusing{}, "https://acme.jfrog.io", v1alpha1.ReasonUnavailable, "the connection failed"},
		"the loopback":      {nil, "https://127.0.0.1:1", v1alpha1.ReasonInvalidRequest, "loopback"},
		"no such host":      {nil, "https://jfrog.invalid", v1alpha1.ReasonUnavailable, "does not resolve"},
		"metadata service":  {nil, "https://169.254.169.254", v1alpha1.ReasonInvalidRequest, "link-local or metadata address"},
		"unknown authority": {untrusting(jfrog), "https://acme.jfrog.io", v1alpha1.ReasonUnavailable, "its certificate is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newProvider(t, c.transport).Token(t.Context(),
				request(v1alpha1.Artifactory{URL: c.url, ProviderName: "cluster"}, serviceAccount(t, nil)))
			wantError(t, err, c.reason, c.says)
		})
	}
}

// refusing is a network in which nobody listens.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }

func untrusting(jfrog *cloud.JFrog) http.RoundTripper {
	transport := jfrog.Transport()
	transport.TLSClientConfig.RootCAs = nil
	return transport
}
