package acr_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/test/cloud"
)

// scripted answers for one path, in place of the cloud.
type scripted struct {
	next   http.RoundTripper
	path   string
	answer answer
	// asked are the forms that were sent there.
	asked []url.Values
}

// answer is one by a server, or err.
type answer struct {
	status int
	body   string
	header []string
	err    error
}

func with(status int, body string, header ...string) answer {
	return answer{status: status, body: body, header: header}
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, s.path) {
		return s.next.RoundTrip(r)
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	s.asked = append(s.asked, r.PostForm)
	if s.answer.err != nil {
		return nil, s.answer.err
	}
	res := &http.Response{StatusCode: s.answer.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.answer.body)), Request: r}
	for i := 0; i < len(s.answer.header); i += 2 {
		res.Header.Set(s.answer.header[i], s.answer.header[i+1])
	}
	return res, nil
}

func noSuchHost(name string) answer {
	return answer{err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}}}
}

const (
	exchangePath = "/oauth2/exchange"
	tokenPath    = "/oauth2/v2.0/token"
	metadataPath = "/.well-known/openid-configuration"
)

func TestWhatTheCloudAnswersIsExplained(t *testing.T) {
	aadsts := func(code string) string {
		return `{"error":"invalid_request","error_description":"AADSTS` + code + `: ` + cloud.CanaryEntra + `quoted Trace ID: x","error_codes":[` + code + `]}`
	}
	const registryError = `{"errors":[{"code":"UNAUTHORIZED","message":"` + cloud.CanaryACR + `quoted"}]}`
	for name, c := range map[string]struct {
		path       string
		answer     answer
		reason     string
		retryAfter time.Duration
		says       []string
	}{
		"assertion expired": {path: tokenPath, answer: with(401, aadsts("700024")), reason: v1alpha1.ReasonAccessDenied, says: []string{"AADSTS700024", "clocks"}},
		"no federation":     {path: tokenPath, answer: with(401, aadsts("70021")), reason: v1alpha1.ReasonAccessDenied, says: []string{"AADSTS70021)", subject}},
		"secret expired":    {path: tokenPath, answer: with(401, aadsts("7000222")), reason: v1alpha1.ReasonAccessDenied, says: []string{"expired"}},
		"loop":              {path: tokenPath, answer: with(400, aadsts("50196"), "Retry-After", "60"), reason: v1alpha1.ReasonThrottled, retryAfter: time.Minute, says: []string{"AADSTS50196"}},
		"a code not known":  {path: tokenPath, answer: with(400, aadsts("999999")), reason: v1alpha1.ReasonAccessDenied, says: []string{"AADSTS999999", "login.microsoftonline.com/error"}},
		"a code, but down":  {path: tokenPath, answer: with(503, aadsts("90033"), "Retry-After", "3"), reason: v1alpha1.ReasonUnavailable, retryAfter: 3 * time.Second, says: []string{"503"}},
		"throttled until a date": {path: tokenPath, answer: with(429, "", "Retry-After", "Tue, 24 Nov 2026 10:00:20 GMT", "Date", "Tue, 24 Nov 2026 10:00:00 GMT"),
			reason: v1alpha1.ReasonThrottled, retryAfter: 20 * time.Second},
		"no token":             {path: tokenPath, answer: with(200, `{"token_type":"Bearer","expires_in":3599}`), reason: v1alpha1.ReasonInvalidResponse},
		"no JSON":              {path: tokenPath, answer: with(200, "<html>"+cloud.CanaryEntra), reason: v1alpha1.ReasonInvalidResponse, says: []string{"proxy"}},
		"metadata of somebody": {path: metadataPath, answer: with(200, `{"issuer":"https://evil.example/","token_endpoint":"https://evil.example/","authorization_endpoint":"https://evil.example/"}`), reason: v1alpha1.ReasonInvalidResponse},
		"Entra does not resolve": {path: metadataPath, answer: noSuchHost("login.microsoftonline.com"), reason: v1alpha1.ReasonUnavailable,
			says: []string{`"login.microsoftonline.com" does not resolve`, "AZURE_AUTHORITY_HOST"}},
		"the registry does not resolve": {path: exchangePath, answer: noSuchHost(host), reason: v1alpha1.ReasonUnavailable,
			says: []string{`"myregistry.azurecr.io" does not resolve`, "no registry has this name", "private endpoint"}},
		"the registry says 401":       {path: exchangePath, answer: with(401, registryError), reason: v1alpha1.ReasonAccessDenied, says: []string{"AcrPull", "Container Registry Repository Reader", "tenant"}},
		"the registry says 403":       {path: exchangePath, answer: with(403, registryError), reason: v1alpha1.ReasonAccessDenied, says: []string{"firewall", "private endpoint"}},
		"the registry says 404":       {path: exchangePath, answer: with(404, "not found"), reason: v1alpha1.ReasonInvalidResponse, says: []string{"no Azure Container Registry"}},
		"the registry redirects":      {path: exchangePath, answer: with(307, "", "Location", "https://evil.example/oauth2/exchange"), reason: v1alpha1.ReasonInvalidResponse, says: []string{"redirect"}},
		"the registry says nothing":   {path: exchangePath, answer: with(200, "{}"), reason: v1alpha1.ReasonInvalidResponse, says: []string{"without a token"}},
		"the registry says no JSON":   {path: exchangePath, answer: with(200, "<html>"+cloud.CanaryACR), reason: v1alpha1.ReasonInvalidResponse},
		"a token that is no JWT":      {path: exchangePath, answer: with(200, `{"refresh_token":"`+cloud.CanaryACR+`x"}`), reason: v1alpha1.ReasonInvalidResponse, says: []string{"when it expires"}},
		"a token without an end":      {path: exchangePath, answer: with(200, `{"refresh_token":"eyJhbGciOiJub25lIn0.e30."}`), reason: v1alpha1.ReasonInvalidResponse, says: []string{"when it expires"}},
		"an endless answer":           {path: exchangePath, answer: with(200, strings.Repeat(" ", 2<<20)), reason: v1alpha1.ReasonUnavailable},
		"the registry is throttled":   {path: exchangePath, answer: with(429, registryError, "Retry-After", "9"), reason: v1alpha1.ReasonThrottled, retryAfter: 9 * time.Second},
		"the registry is unavailable": {path: exchangePath, answer: with(502, registryError), reason: v1alpha1.ReasonUnavailable, says: []string{"502"}},
	} {
		t.Run(name, func(t *testing.T) {
			wire := &scripted{next: startAzure(t).Transport(), path: c.path, answer: c.answer}
			p, err := acr.New(clock.RealClock{}, acr.Options{Transport: wire})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
			checkFailure(t, err, c.reason, c.says...)
			if got := retryAfter(err); got != c.retryAfter {
				t.Errorf("Retry-After is %s", got)
			}
			if terminal(err) || len(wire.asked) != 1 {
				t.Errorf("terminal: %t, asked %d times", terminal(err), len(wire.asked))
			}
		})
	}
}

// A token of Entra is not shown to whom the registry names.
func TestARedirectIsNotFollowed(t *testing.T) {
	for _, location := range []string{"https://evil.azurecr.io/oauth2/exchange", "https://" + host + "/elsewhere", "http://" + host + exchangePath} {
		azure := startAzure(t)
		addRegistry(t, azure, cloud.AzureRegistry{Host: "evil.azurecr.io"})
		redirects := &scripted{next: azure.Transport(), path: exchangePath, answer: with(308, "", "Location", location)}
		wire := &counted{next: redirects}
		p, err := acr.New(clock.RealClock{}, acr.Options{Transport: wire})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
		checkFailure(t, err, v1alpha1.ReasonInvalidResponse, "not followed")
		if wire.requests.Load() != 3 || len(redirects.asked) != 1 { // metadata, token, exchange
			t.Errorf("%s: %d requests, %d of them for the exchange", location, wire.requests.Load(), len(redirects.asked))
		}
	}
}

func TestAFirewallAndATenantAreRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		registry cloud.AzureRegistry
		says     string
	}{
		"firewall":     {cloud.AzureRegistry{Host: host, Firewall: true}, "firewall"},
		"other tenant": {cloud.AzureRegistry{Host: host, Tenant: unknown}, "one tenant"},
	} {
		azure := startAzure(t)
		addRegistry(t, azure, c.registry)
		_, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
		if reason(err) != v1alpha1.ReasonAccessDenied || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A proxy may remove the Date: then the time of issue says how wrong our clock is.
func TestTheExpiryIsByOurClock(t *testing.T) {
	now := time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ iat, date, want time.Duration }{
		"clocks that agree": {0, 0, time.Hour}, "less than a minute apart": {30 * time.Second, 30 * time.Second, time.Hour + 30*time.Second},
		"ahead": {time.Hour, time.Hour, time.Hour}, "behind": {-time.Hour, -time.Hour, time.Hour}, "the Date goes first": {-time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			token := jwtOf(t, now.Add(c.iat), now.Add(c.iat+time.Hour))
			for header, value := range map[string]string{"Date": now.Add(c.date).Format(http.TimeFormat), "X-None": "x"} {
				if header == "X-None" && c.iat != c.date {
					continue
				}
				wire := &scripted{next: startAzure(t).Transport(), path: exchangePath, answer: with(200, `{"refresh_token":"`+token+`"}`, header, value)}
				p, err := acr.New(clocktesting.NewFakePassiveClock(now), acr.Options{Transport: wire})
				if err != nil {
					t.Fatal(err)
				}
				got, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
				if err != nil {
					t.Fatal(err)
				}
				if life := got.ExpiresAt.Sub(now); life != c.want {
					t.Errorf("with %s the token lives for %s, want %s", header, life, c.want)
				}
			}
		})
	}
}
