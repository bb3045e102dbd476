// Package outbound provides the HTTP client for hosts that users name: it follows no redirect, reaches no address of this machine or of a metadata service, and reads
// no endless answer.
package outbound

import (
	"errors"
	"io"
	"net/http"
)

// maxAnswer bounds what is read of an answer; the largest legitimate one is a token of a few kilobytes.
const maxAnswer = 64 << 10

// MaxHeaders bounds the headers of an answer, of which net/http reads ten megabytes. As header fields they take a multiple of their bytes.
const MaxHeaders = 64 << 10

// ErrTooLarge is how the body of an endless answer ends.
var ErrTooLarge = errors.New("the answer is larger than 64 KiB")

// ErrForbiddenAddress is why a connection to a loopback, link-local or metadata address is refused.
var ErrForbiddenAddress = errors.New("the host is, or resolves to, a loopback, link-local or metadata address")

// Transport returns one like http.DefaultTransport that reads no endless headers.
func Transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forbidigo // its headers are bounded right here
	t.MaxResponseHeaderBytes = MaxHeaders
	return t
}

// Client returns a client that honours the proxy of the environment and the system's certificate authorities. With a transport, it
// uses that one instead, and only bounds answers and redirects.
func Client(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = newGuard()
	}
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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
