package outbound_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/providers/internal/outbound"
)

func TestWhyThereWasNoAnswer(t *testing.T) {
	cures := outbound.Cures{Name: "check the region", Authorities: "CA_BUNDLE", Endpoint: "the endpoint"}
	for want, err := range map[string]error{
		`the host "r.example" does not resolve; check the region`:                                         &net.DNSError{Name: "r.example"},
		"the host is, or resolves to, a loopback, link-local or metadata address; check the region":       outbound.ErrForbiddenAddress,
		"its certificate is not trusted; check CA_BUNDLE and any proxy in between":                        x509.UnknownAuthorityError{},
		"it timed out; check the endpoint, the proxy and the network policies of the controller":          context.DeadlineExceeded,
		"the connection failed; check the endpoint, the proxy and the network policies of the controller": errors.New("canary"),
	} {
		wrapped := &url.Error{Op: "Post", URL: "https://r.example/?token=canary", Err: fmt.Errorf("dial: %w", err)}
		if got := cures.NoAnswer(wrapped); got != want || strings.Contains(got, "canary") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (outbound.Cures{}).NoAnswer(errors.New("x")); got != "the connection failed; check the proxy and the network policies of the controller" {
		t.Errorf("without an endpoint: %q", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-1": 0, "1.5": 0, "soon": 0, "99999999999": 0,
		"Tue, 24 Nov 2026 12:00:30 GMT": 30 * time.Second, "Tue, 24 Nov 2026 11:00:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {value}, "Date": {"Tue, 24 Nov 2026 12:00:00 GMT"}}
		if got := outbound.RetryAfter(h); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	if got := outbound.RetryAfter(http.Header{"Retry-After": {"Tue, 24 Nov 2026 12:00:30 GMT"}}); got != 0 {
		t.Errorf("a date without the server's own: %s", got)
	}
}
