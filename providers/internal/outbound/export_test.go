package outbound

import (
	"context"
	"net"
	"net/http"
	"net/url"
)

// ProxiedClient is Client as it is with a proxy in the environment, which is read only once.
func ProxiedClient(proxy string) *http.Client {
	u, err := url.Parse(proxy)
	if err != nil {
		panic(err)
	}
	g := newGuard()
	g.proxy, g.proxied.Proxy = http.ProxyURL(u), http.ProxyURL(u)
	return Client(g)
}

// DiallingClient is Client as it is without a proxy, on a network where every name is at the address.
func DiallingClient(address string) *http.Client {
	g := newGuard()
	g.proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	g.direct.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return Client(g)
}
