package outbound

import (
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
