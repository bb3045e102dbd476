package faults

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// front stands between the controller and the API server, and between the controller and ECR. It numbers what the controller does to the
// world, can end it before or after one of its effects, and can hold the events of its watches back.
type front struct {
	mu      sync.Mutex
	effects []string
	// counting is how many of the effects count for the trap.
	counting int
	trap     trap
	// sprung is the effect at which the trap did.
	sprung  string
	kill    func()
	crashed chan struct{}

	holding bool
	watches []*watched
	gone    map[string]bool // watches, by path, whose next request is answered with 410
	expired int             // watches that the API server has told to list anew
	moved   chan struct{}
}

// watched is an open watch, and the events that were not let through yet.
type watched struct {
	path    string
	pending [][]byte
	out     chan []byte
	drop    chan struct{}
}

func newFront() *front {
	return &front{crashed: make(chan struct{}, 1), gone: map[string]bool{}, moved: make(chan struct{})}
}

// api serves what is before the API server, with the rights of a configuration.
func (f *front) api(config *rest.Config) (*httptest.Server, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	proxy := proxyTo(server, transport)
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1" {
			f.watch(w, r, server, transport)
			return
		}
		f.through(w, r, proxy, effectOf(r))
	})), nil
}

// cloud serves what is before a service of a cloud, each call of which is an effect.
func (f *front) cloud(address string, transport http.RoundTripper) (*httptest.Server, error) {
	server, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	proxy := proxyTo(server, transport)
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.through(w, r, proxy, callToECR) })), nil
}

func proxyTo(server *url.URL, transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		// The Host stays what the client has signed.
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = server.Scheme, server.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// watch passes a watch on, event by event.
func (f *front) watch(w http.ResponseWriter, r *http.Request, server *url.URL, transport http.RoundTripper) {
	path := r.URL.Path
	f.mu.Lock()
	gone := f.gone[path]
	delete(f.gone, path)
	f.mu.Unlock()
	if gone {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old resource version","code":410}`)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", server.Scheme, server.Host
	out.Host = server.Host
	out.Header.Del("Accept-Encoding") // events are read here
	upright.RLock()                   // a client would try again until the API server is back
	res, err := transport.RoundTrip(out)
	upright.RUnlock()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	flusher := http.NewResponseController(w)
	_ = flusher.Flush()
	if res.StatusCode != http.StatusOK {
		_, _ = io.Copy(w, res.Body)
		return
	}
	watch := &watched{path: path, out: make(chan []byte, 1000), drop: make(chan struct{})}
	f.add(watch)
	defer f.remove(watch)
	go f.read(res.Header.Get("Content-Type"), res.Body, watch)
	for {
		select {
		case event, open := <-watch.out:
			if !open {
				return
			}
			if _, err := w.Write(event); err != nil {
				return
			}
			_ = flusher.Flush()
		case <-watch.drop:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// read takes the events of a watch apart, which are JSON or protobuf.
func (f *front) read(contentType string, body io.Reader, w *watched) {
	next := jsonEvents(body)
	if strings.Contains(contentType, "protobuf") {
		next = framedEvents(body)
	}
	for {
		event, err := next()
		f.mu.Lock()
		if err != nil {
			w.pending = nil
			close(w.out)
			f.mu.Unlock()
			return
		}
		if bytes.Contains(event, []byte("too old resource version")) {
			f.expired++
		}
		if f.holding {
			w.pending = append(w.pending, event)
			f.note()
		} else {
			w.out <- event
		}
		f.mu.Unlock()
	}
}

func jsonEvents(body io.Reader) func() ([]byte, error) {
	decoder := json.NewDecoder(body)
	return func() ([]byte, error) {
		var event json.RawMessage
		err := decoder.Decode(&event)
		return append(event, '\n'), err
	}
}

// framedEvents are preceded by their length.
func framedEvents(body io.Reader) func() ([]byte, error) {
	reader := bufio.NewReader(body)
	return func() ([]byte, error) {
		var event bytes.Buffer
		if _, err := io.CopyN(&event, reader, 4); err != nil {
			return nil, err
		}
		_, err := io.CopyN(&event, reader, int64(binary.BigEndian.Uint32(event.Bytes())))
		return event.Bytes(), err
	}
}
