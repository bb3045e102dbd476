package cloud

import (
	"bytes"
	"context"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"
)

// The APIs' largest legitimate request is a form with a JWT in it; a larger body, an image layer, is refused unread.
const maxBody = 1 << 20

// request is a call whose body has been read: net/http notices that a client gave up only once the body is consumed.
type request struct {
	*http.Request
	body []byte
}

// failure is an error answer, in words that each service puts into its own format.
type failure struct {
	status        int
	code, message string
	retryAfter    time.Duration
	// noChallenge leaves the challenge of a registry's 401 out.
	noChallenge bool
}

// service is one endpoint of a cloud behind its faults and its counter.
type service struct {
	faults *Faults
	calls  *callCounter
	// log is nil for services whose calls are only counted.
	log   *callLog
	clock *clock

	throttled, down failure

	action func(*request) string
	// answer decides first and returns what to write, so that a call is counted before its client can have seen the answer.
	answer func(*request) (http.HandlerFunc, *failure)
	refuse func(http.ResponseWriter, *request, *failure)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	req := &request{Request: r, body: body}
	action, began := s.action(req), time.Now()

	var write http.HandlerFunc
	failed := s.struck(req, action, began)
	if failed == nil {
		write, failed = s.answer(req)
	}
	w.Header().Set("Date", s.clock.wall().UTC().Format(http.TimeFormat))
	if failed == nil {
		s.calls.add(action, "")
		s.log.add(r, action, "", began)
		write(w, r)
		return
	}
	s.calls.add(action, failed.code)
	s.log.add(r, action, failed.code, began)
	if failed.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(failed.retryAfter.Seconds()))))
	}
	s.refuse(w, req, failed)
}

// struck lets the present fault have its way with a call. Nil means that the call goes through.
func (s *service) struck(req *request, action string, began time.Time) *failure {
	strike := s.faults.next()
	if !strike.delay(req.Context()) {
		s.calls.add(action, CodeAbandoned)
		s.log.add(req.Request, action, CodeAbandoned, began)
		panic(http.ErrAbortHandler)
	}
	switch {
	case strike.outage == OutageHang:
		s.faults.hanging.Add(1)
		defer s.faults.hanging.Add(-1)
		s.calls.add(action, CodeHung)
		strike.hang(req.Context())
		s.log.add(req.Request, action, CodeHung, began)
		panic(http.ErrAbortHandler)
	case strike.outage == OutageClosed:
		s.calls.add(action, CodeClosed)
		s.log.add(req.Request, action, CodeClosed, began)
		panic(http.ErrAbortHandler)
	case strike.outage == OutageServerError:
		failed := s.down
		return &failed
	case strike.throttled:
		failed := s.throttled
		failed.retryAfter = strike.retryAfter
		return &failed
	}
	return nil
}

// writeWhole sends an API's answer in one piece, which the client then holds before it looks at the status. The SDK can lose the rest
// of an answer that comes in several: smithy-go closes the request's body as soon as it has the status, and if net/http is still
// looking for the end of that body it drops the connection (aws/aws-sdk-go-v2 issue 2737). On the loopback interface that would
// happen once in a thousand calls. It takes the length, one TLS record (see serverConfig) and less than net/http's 4 kB of buffer.
func writeWhole(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// server is a service on a loopback port of its own, so that its connections can fail without the others'.
type server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

func startServer(handler http.Handler, ca *certificateAuthority) (*server, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		listener: listener,
		done:     make(chan struct{}),
		http: &http.Server{
			Handler:           handler,
			TLSConfig:         ca.serverConfig(),
			ReadHeaderTimeout: 10 * time.Second,
			// Clients that do not trust the CA, or give up, are the tests' business.
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
	go func() {
		defer close(s.done)
		_ = s.http.ServeTLS(listener, "", "") // always http.ErrServerClosed, by close
	}()
	return s, nil
}

func (s *server) address() string { return s.listener.Addr().String() }
func (s *server) url() string     { return "https://" + s.address() }

func (s *server) close() error {
	err := s.http.Close()
	<-s.done
	return err
}
