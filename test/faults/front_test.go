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
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	kill     func()
	crashed  chan struct{}

	holding bool
	watches []*watched
	gone    map[string]bool // watches, by path, whose next request is answered with 410
	expired int             // watches that the API server has told to list anew
	moved   chan struct{}
}

// trap is the effect, by its number from 1, at which the controller ends, or is answered with an error. 0 is none.
type trap struct {
	at int
	// after is whether the effect takes place all the same.
	after bool
	// code is the error; 0 is the controller's end.
	code int
	// crash, if it is set, ends a part of the control plane in place of the controller, before anybody hears of the effect, and returns when
	// that is there again.
	crash func()
	// among is the kind of effects that are counted; empty for all.
	among string
	// more is how many of the next effects are answered with the error, too, but for calls to the cloud.
	more int
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
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.through(w, r, proxy, "a call to ECR") })), nil
}

func proxyTo(server *url.URL, transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		// The Host stays what the client has signed.
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = server.Scheme, server.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// effectOf names a request that changes what others see; empty for all others.
func effectOf(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	for _, none := range []string{"/leases", "/events", "/token", "reviews"} {
		if strings.Contains(r.URL.Path, none) {
			return ""
		}
	}
	resource := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	return r.Method + " " + strings.Join(resource[max(0, len(resource)-3):], "/")
}

// kindOf is what an effect does to which kind of object.
func kindOf(effect string) string {
	method, path, _ := strings.Cut(effect, " ")
	for _, kind := range []string{"secrets", "serviceaccounts", "status"} {
		if strings.Contains(path, "/"+kind) {
			return method + " " + kind
		}
	}
	return effect
}

// reasons are what the API server says beside a code.
var reasons = map[int]metav1.StatusReason{
	http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
}

// through lets a request through, unless the trap is set for it.
func (f *front) through(w http.ResponseWriter, r *http.Request, proxy http.Handler, effect string) {
	if effect == "" {
		proxy.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.effects = append(f.effects, effect)
	trap := f.trap
	if trap.among == "" || kindOf(effect) == trap.among {
		f.counting++
	}
	caught := trap.at == f.counting && (trap.among == "" || kindOf(effect) == trap.among) ||
		trap.at < f.counting && f.counting <= trap.at+trap.more && strings.Contains(effect, "/")
	f.mu.Unlock()
	if !caught {
		proxy.ServeHTTP(w, r)
		return
	}
	if trap.crash != nil {
		f.hold()
	}
	if trap.after {
		unseen := httptest.NewRecorder()
		proxy.ServeHTTP(unseen, r)
	}
	if trap.code != 0 {
		w.Header().Set("Content-Type", "application/json")
		if trap.code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1") // the client obeys and asks again by itself; all other errors are for the controller
		}
		w.WriteHeader(trap.code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"a fault","code":%d}`, reasons[trap.code], trap.code)
		return
	}
	if trap.crash != nil {
		trap.crash()
		f.flow()
		panic(http.ErrAbortHandler)
	}
	f.kill()
	f.crashed <- struct{}{}
	panic(http.ErrAbortHandler)
}

// arm forgets what was counted, and sets the trap.
func (f *front) arm(t trap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.effects, f.counting, f.trap = nil, 0, t
}

func (f *front) counted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.effects)
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

func (f *front) add(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = append(f.watches, w)
	f.note()
}

func (f *front) remove(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = slices.DeleteFunc(f.watches, func(other *watched) bool { return other == w })
}

// note tells who waits that something has moved. The caller holds the lock.
func (f *front) note() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// hold keeps all events back from now on.
func (f *front) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holding = true
}

// held waits until no event has come for a while, and returns whose events wait, one for each event.
func (f *front) held(still time.Duration) []*watched {
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		timer := time.NewTimer(still)
		select {
		case <-moved:
			timer.Stop()
			continue
		case <-timer.C:
		}
		return f.waiting()
	}
}

func (f *front) waiting() (waiting []*watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watches {
		for range w.pending {
			waiting = append(waiting, w)
		}
	}
	return waiting
}

// release lets the first event of a watch through, twice if it is doubled.
func (f *front) release(w *watched, doubled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(w.pending) == 0 {
		return
	}
	event := w.pending[0]
	w.pending = w.pending[1:]
	w.out <- event
	if doubled {
		w.out <- event
	}
}

// lose drops the events that wait in a watch; the client has to list again.
func (f *front) lose(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.pending = nil
	f.gone[w.path] = true
	close(w.drop)
}

// flow lets everything through, from now on too.
func (f *front) flow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holding = false
	for _, w := range f.watches {
		for _, event := range w.pending {
			w.out <- event
		}
		w.pending = nil
	}
}
