package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const dialTimeout = 10 * time.Second

// guard makes the requests to hosts that users name. A literal address is looked at before the request, as nobody dials it here if there is a
// proxy; a name is looked at when its address is dialled. What a proxy dials is the proxy's to decide, and where the proxy is the administrator's.
type guard struct {
	proxy           func(*http.Request) (*url.URL, error)
	direct, proxied *http.Transport
}

func newGuard() *guard {
	g := &guard{direct: Transport(), proxied: Transport()}
	g.proxy, g.direct.Proxy = g.direct.Proxy, nil
	g.direct.DialContext = (&net.Dialer{Timeout: dialTimeout, Control: refuseForbidden}).DialContext
	g.proxied.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	return g
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if ip, err := netip.ParseAddr(r.URL.Hostname()); err == nil && Forbidden(ip) || isLocalhost(r.URL.Hostname()) {
		return nil, ErrForbiddenAddress
	}
	if proxy, err := g.proxy(r); err != nil || proxy != nil {
		return g.proxied.RoundTrip(r)
	}
	return g.direct.RoundTrip(r)
}

// isLocalhost says whether every resolver takes the name for this machine (RFC 6761, 6.3).
func isLocalhost(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transports.
func (g *guard) CloseIdleConnections() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
}

// metadata are the addresses of metadata services that are not link-local: AWS and Google over IPv6, Scaleway, Alibaba, Oracle over IPv4 and
// Azure's wire server.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("fd00:42::42/128"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
}

// translated are where IPv6 addresses have an IPv4 address in their last four bytes that a router goes on to: NAT64 (RFC 6052 and 8215), and
// what was meant for it before (RFC 4291, 2.5.5.1).
var translated = []netip.Prefix{
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("::/96"),
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
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast() || ip.IsMulticast() || ip.IsUnspecified() {
		return true
	}
	if within(translated, ip) {
		raw := ip.As16()
		return Forbidden(netip.AddrFrom4([4]byte(raw[12:])))
	}
	return within(metadata, ip)
}

func within(prefixes []netip.Prefix, ip netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
