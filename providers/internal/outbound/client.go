// Package outbound provides the HTTP client for hosts that users name: it follows no redirect, reaches no link-local address, and reads
// no endless answer.
package outbound

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// maxAnswer bounds what is read of an answer; the largest legitimate one is a token of a few kilobytes.
	maxAnswer   = 1 << 20
	dialTimeout = 10 * time.Second
)

// ErrTooLarge is how the body of an endless answer ends.
var ErrTooLarge = errors.New("the answer is larger than 1 MiB")

// ErrForbiddenAddress is why a connection to a link-local or metadata address is refused.
var ErrForbiddenAddress = errors.New("the host resolves to a link-local or metadata address")

// Client returns a client that honours the proxy of the environment and the system's certificate authorities. With a transport, it
// uses that one instead, and only bounds answers and redirects.
func Client(transport http.RoundTripper) *http.Client {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: dialTimeout, Control: refuseForbidden}).DialContext
		transport = t
	}
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// metadata are the addresses of metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle over IPv4 and Azure's wire
// server.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
}

// refuseForbidden looks at the address that is about to be dialled, after all names have been resolved: a name that resolves to
// something harmless first and to the metadata service later is refused, too.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dialling an address that is none: %w", ErrForbiddenAddress)
	}
	if Forbidden(ap.Addr()) {
		return ErrForbiddenAddress
	}
	return nil
}

// Forbidden says whether nothing that a user names may lead to the address.
func Forbidden(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast() || ip.IsMulticast() || ip.IsUnspecified() {
		return true
	}
	for _, prefix := range metadata {
		if prefix.Contains(ip.WithZone("")) {
			return true
		}
	}
	return false
}

// bounded bounds the bodies of answers.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = &limitedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (b bounded) CloseIdleConnections() {
	(&http.Client{Transport: b.next}).CloseIdleConnections()
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.ReadCloser.Read(p)
	l.left -= int64(n)
	return n, err
}
