package cloud

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// newTransport connects the hosts that route knows to their emulators, and refuses every other but the loopback interface: a test must
// not reach the real clouds by mistake.
func newTransport(ca *certificateAuthority, route func(host string) (address string, ok bool)) *http.Transport {
	dialer := &net.Dialer{}
	return &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.pool()},
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if emulator, ok := route(host); ok {
				return dialer.DialContext(ctx, network, emulator)
			}
			if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
				return dialer.DialContext(ctx, network, address)
			}
			// As a name server says it of a name that nobody has.
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
	}
}
