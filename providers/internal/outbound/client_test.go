package outbound_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"

	"github.com/regcred/regcred/providers/internal/outbound"
)

func TestForbiddenAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:169.254.169.254": true, "fd00:ec2::254": true,
		"100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true, "0.0.0.0": true, "::": true, "224.0.0.1": true,
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true, "fd20:ce::254": true, "fd00:42::42": true,
		"64:ff9b::a9fe:a9fe": true, "64:ff9b::7f00:1": true, "64:ff9b:1::a9fe:a9fe": true, "::169.254.169.254": true,
		"64:ff9b::808:808": false, "fd20:ce::253": false, "10.0.0.1": false, "192.168.1.1": false, "8.8.8.8": false, "2001:db8::1": false, "fd12::1": false,
	} {
		if got := outbound.Forbidden(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %t, want %t", address, got, want)
		}
	}
}

func TestMetadataServicesCannotBeDialled(t *testing.T) {
	for _, url := range []string{"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/", "http://127.0.0.1:1/", "http://localhost:1/", "https://sub.LOCALHOST./"} {
		res, err := outbound.Client(nil).Get(url) //nolint:noctx // nothing is sent
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, outbound.ErrForbiddenAddress) {
			t.Errorf("%s: got %v, want a refusal to dial", url, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	res, err := outbound.Client(http.DefaultTransport).Get(server.URL) //nolint:noctx // the server is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusTemporaryRedirect || asked != 1 {
		t.Errorf("status %d after %d requests", res.StatusCode, asked)
	}
}

func TestAnEndlessAnswerEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 1<<16); r.Context().Err() == nil; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	res, err := outbound.Client(http.DefaultTransport).Get(server.URL) //nolint:noctx // the server is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.Copy(io.Discard, res.Body)
	if !errors.Is(err, outbound.ErrTooLarge) || read != 64<<10 {
		t.Errorf("read %d bytes, then %v", read, err)
	}
}

func TestEndlessHeadersEnd(t *testing.T) {
	wide := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 4096 {
			w.Header().Set("X-"+strconv.Itoa(i), "sixteen bytes or")
		}
	})
	plain, modern := httptest.NewServer(wide), httptest.NewUnstartedServer(wide)
	defer plain.Close()
	modern.EnableHTTP2 = true
	modern.StartTLS()
	defer modern.Close()
	trusting := outbound.Transport()
	trusting.TLSClientConfig = modern.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	for name, c := range map[string]struct {
		client *http.Client
		url    string
	}{
		"HTTP/1":        {outbound.Client(outbound.Transport()), plain.URL},
		"HTTP/2":        {outbound.Client(trusting), modern.URL},
		"through proxy": {outbound.ProxiedClient(plain.URL), "http://registry.example/"},
		"directly":      {outbound.DiallingClient(plain.Listener.Addr().String()), "http://registry.example/"},
	} {
		res, err := c.client.Get(c.url) //nolint:noctx // the server is the test's own
		if err == nil {
			res.Body.Close()
			t.Errorf("%s: %s with %d headers was read", name, res.Proto, len(res.Header))
		}
	}
}

func TestAProxyIsNoWayAroundTheGuard(t *testing.T) {
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.WriteHeader(http.StatusOK)
	}))
	defer proxy.Close()
	client := outbound.ProxiedClient(proxy.URL)
	for _, url := range []string{"http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://[64:ff9b::a9fe:a9fe]/", "http://localhost/"} {
		res, err := client.Get(url) //nolint:noctx // nothing is sent
		if err == nil {
			res.Body.Close()
		}
		if !errors.Is(err, outbound.ErrForbiddenAddress) || asked != "" {
			t.Errorf("%s: %v; the proxy was asked for %q", url, err, asked)
		}
	}
	// The proxy itself may be wherever the administrator has put it.
	res, err := client.Get("http://registry.example/v2/") //nolint:noctx // the proxy is the test's own
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if asked != "http://registry.example/v2/" {
		t.Errorf("the proxy was asked for %q", asked)
	}
}
