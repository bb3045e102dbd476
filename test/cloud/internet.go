package cloud

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

// Internet joins emulated clouds: it has the certificate authority that they share and knows which of their hosts is emulated where, so
// that clients use the real names. In a test they do so by its Transport, in a program by Env.
type Internet struct {
	ca     *certificateAuthority
	dir    string
	caPath string
	proxy  *proxy
	// transport connects the tests themselves.
	transport *http.Transport

	mu     sync.Mutex
	routes []func(host string) (address string, ok bool)
	// issuers are the keys of clusters.
	issuers map[issuerKey]*ecdsa.PublicKey
}

// StartInternet starts an Internet without any cloud.
func StartInternet() (*Internet, error) {
	ca, err := newCertificateAuthority()
	if err != nil {
		return nil, err
	}
	n := &Internet{ca: ca}
	n.transport = newTransport(ca, n.route)
	if n.dir, err = os.MkdirTemp("", "regcred-cloud-"); err != nil {
		return nil, fmt.Errorf("directory for the CA bundle: %w", err)
	}
	if n.caPath, err = ca.write(n.dir); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if n.proxy, err = startProxy(n.route); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the proxy: %w", err), n.Close())
	}
	return n, nil
}

// joinInternet is where a cloud is put: on the Internet that it is given, or alone on one of its own.
func joinInternet(given *Internet) (n *Internet, alone bool, err error) {
	if given != nil {
		return given, false, nil
	}
	n, err = StartInternet()
	return n, true, err
}

// Close ends the proxy and its connections. The clouds are closed first, each by itself.
func (n *Internet) Close() error {
	n.transport.CloseIdleConnections()
	var errs []error
	if n.proxy != nil {
		errs = append(errs, n.proxy.close())
	}
	return errors.Join(append(errs, os.RemoveAll(n.dir))...)
}

// Env is the environment in which a Go program reaches the emulated clouds, and no others, under their real names.
func (n *Internet) Env() []string {
	return []string{"HTTPS_PROXY=http://" + n.proxy.address(), "SSL_CERT_FILE=" + n.caPath}
}

// CAPath is a PEM file with the certificate of the authority that issued the clouds' certificates.
func (n *Internet) CAPath() string { return n.caPath }

// Transport trusts the clouds' CA and connects their hosts to their emulators. It is one for all, so that whoever pulls in a loop keeps
// no connection for each pull.
func (n *Internet) Transport() *http.Transport { return n.transport }

// Route adds hosts. The first route that knows a host has it.
func (n *Internet) Route(route func(host string) (address string, ok bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes = append(n.routes, route)
}

func (n *Internet) route(host string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, route := range n.routes {
		if address, ok := route(host); ok {
			return address, true
		}
	}
	return "", false
}

// proxy is an HTTP proxy that knows CONNECT only (RFC 9110, 9.3.6). Whoever uses it speaks TLS with the emulator itself.
type proxy struct {
	listener net.Listener
	route    func(host string) (string, bool)
	ctx      context.Context //nolint:containedctx // the life of the proxy's tunnels
	cancel   context.CancelFunc
	open     sync.WaitGroup
}

func startProxy(route func(host string) (string, bool)) (*proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, route: route}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.open.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() error {
	p.cancel()
	err := p.listener.Close()
	p.open.Wait()
	return err
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.open.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	defer context.AfterFunc(p.ctx, func() { _ = client.Close() })()
	buffered := bufio.NewReader(client)
	req, err := http.ReadRequest(buffered)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect {
		_, _ = io.WriteString(client, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		return
	}
	host, _, _ := strings.Cut(req.Host, ":")
	address, ok := p.route(host)
	if !ok {
		_, _ = io.WriteString(client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	emulator, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", address)
	if err != nil {
		_, _ = io.WriteString(client, "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer func() { _ = emulator.Close() }()
	defer context.AfterFunc(p.ctx, func() { _ = emulator.Close() })()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var upstream sync.WaitGroup
	upstream.Go(func() {
		_, _ = io.Copy(emulator, buffered)
		_ = emulator.Close()
	})
	_, _ = io.Copy(client, emulator)
	_ = client.Close()
	upstream.Wait()
}
