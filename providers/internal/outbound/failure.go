package outbound

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/regcred/regcred/providers"
)

// Cures are what helps when no answer comes, in the words of a provider.
type Cures struct {
	// Name helps when the host does not resolve, or resolves to what is forbidden.
	Name string
	// Authorities is where the certificate authorities are set that are trusted.
	Authorities string
	// Endpoint is what leads to the host, besides the proxy and the network policies; empty for nothing.
	Endpoint string
}

// NoAnswer says why there was none and what helps. It never speaks in the words of err: those quote URLs with their queries.
func (c Cures) NoAnswer(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	way := "check the proxy and the network policies of the controller"
	if c.Endpoint != "" {
		way = "check " + c.Endpoint + ", the proxy and the network policies of the controller"
	}
	switch {
	case errors.As(err, &dns):
		return "the host " + strconv.Quote(dns.Name) + " does not resolve; " + c.Name
	case errors.Is(err, ErrForbiddenAddress):
		return ErrForbiddenAddress.Error() + "; " + c.Name
	case errors.As(err, &authority), errors.As(err, &hostname):
		return "its certificate is not trusted; check " + c.Authorities + " and any proxy in between"
	case IsTimeout(err):
		return "it timed out; " + way
	default:
		return "the connection failed; " + way
	}
}

// Scope says whose fault it is that there was no answer. A name that nobody has is the fault of whoever made it up, and so is one that
// leads where nothing may go; a name server, a connection or a certificate that fails is not.
func Scope(err error) providers.Scope {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound || errors.Is(err, ErrForbiddenAddress) {
		return providers.ScopeRequest
	}
	return providers.ScopeEndpoint
}

// IsTimeout says whether somebody has waited for long enough.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// RetryAfter reads the header of this name in both of its forms (RFC 9110, 10.2.3); 0 if there is none. A date is of the server's clock,
// which the answer's own date tells.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}
