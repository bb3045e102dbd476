package cloud

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Error codes of the distribution specification, as the guards use them.
const (
	codeUnauthorized    = "UNAUTHORIZED"
	codeDenied          = "DENIED"
	codeNameUnknown     = "NAME_UNKNOWN"
	codeTooManyRequests = "TOOMANYREQUESTS"
	codeUnknown         = "UNKNOWN"
)

// guardedRegistry is a real registry behind a cloud's own authorization. Each host that is asked for, or an account in it, has storage
// of its own.
type guardedRegistry struct {
	// namespace names the storage behind a host; false if the host is no registry of this cloud.
	namespace func(host string) (string, bool)
	// guard decides on a request by its credentials. A nil failure lets it through.
	guard func(r registryRequest) *failure
	// challenge sets the WWW-Authenticate header of a 401.
	challenge func(header http.Header, r registryRequest)
	// realm is the token endpoint, if it is on the registry's own hosts; nil otherwise.
	realm *tokenRealm

	mu     sync.Mutex
	stores map[string]http.Handler
}

// registryRequest is a request with what the distribution API's paths say about it.
type registryRequest struct {
	*http.Request
	host, repository, action string
}

var registryPath = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags)/`)

func parseRegistryRequest(r *http.Request) registryRequest {
	out := registryRequest{Request: r, host: strings.ToLower(r.Host), action: ActionPing}
	if host, _, found := strings.Cut(out.host, ":"); found {
		out.host = host
	}
	match := registryPath.FindStringSubmatch(r.URL.Path)
	if match != nil {
		out.repository = match[1]
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		out.action = ActionPush
	case match == nil:
	case match[2] == "blobs":
		out.action = ActionGetBlob
	case match[2] == "tags":
		out.action = ActionListTags
	case r.Method == http.MethodHead:
		out.action = ActionHeadManifest
	default:
		out.action = ActionGetManifest
	}
	return out
}

func (g *guardedRegistry) service(faults *Faults, calls *callCounter, clock *clock) *service {
	return &service{
		faults: faults, calls: calls, clock: clock,
		throttled: failure{status: http.StatusTooManyRequests, code: codeTooManyRequests, message: "Rate exceeded"},
		down:      failure{status: http.StatusInternalServerError, code: codeUnknown, message: "unknown error"},
		action:    func(r *request) string { return parseRegistryRequest(r.Request).action },
		answer:    g.answer,
		refuse:    g.refuse,
	}
}

func (g *guardedRegistry) answer(r *request) (http.HandlerFunc, *failure) {
	req := parseRegistryRequest(r.Request)
	namespace, ok := g.namespace(req.host)
	if !ok {
		return nil, &failure{status: http.StatusNotFound, code: codeNameUnknown, message: "no registry at " + req.host}
	}
	if g.realm != nil && g.realm.is(r.Request) {
		return g.realm.answer(req.host, r.Request)
	}
	if failed := g.guard(req); failed != nil {
		return nil, failed
	}
	if req.action == ActionPing {
		return ping, nil
	}
	return g.store(namespace).ServeHTTP, nil
}

func ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.WriteHeader(http.StatusOK)
}

// refuse answers a 401 with plain text, as ECR does, and anything else in the form of the distribution specification.
func (g *guardedRegistry) refuse(w http.ResponseWriter, r *request, f *failure) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if f.status == http.StatusUnauthorized {
		if !f.noChallenge {
			g.challenge(w.Header(), parseRegistryRequest(r.Request))
		}
		http.Error(w, f.message, f.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(f.status)
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.NewEncoder(w).Encode(map[string][]entry{"errors": {{f.code, f.message}}}) // a client that has gone needs no answer
}

// store is made at the first use. One registry per namespace, rather than one with longer repository names, keeps the names in every
// answer what the client asked for.
func (g *guardedRegistry) store(namespace string) http.Handler {
	g.mu.Lock()
	defer g.mu.Unlock()
	if store, ok := g.stores[namespace]; ok {
		return store
	}
	if g.stores == nil {
		g.stores = map[string]http.Handler{}
	}
	store := newStore()
	g.stores[namespace] = store
	return store
}

// newStore is a registry in memory, whose answers have the headers that it leaves out. It cannot read a range without an end, as
// containerd asks for one after a failure, and a server may answer any range with the whole.
func newStore() http.Handler {
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json") // of a list or an error; a manifest has its own
		if parseRegistryRequest(r).action == ActionGetBlob {
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		r.Header.Del("Range")
		store.ServeHTTP(w, r)
	})
}

// seed stores a tiny image that is the same for the same name, past the guard and the network.
func (g *guardedRegistry) seed(host, repository, tag string) (string, error) {
	image, err := crane.Image(map[string][]byte{"image": []byte(fmt.Sprintf("%s/%s:%s", host, repository, tag))})
	if err != nil {
		return "", fmt.Errorf("building %s/%s:%s: %w", host, repository, tag, err)
	}
	return g.storeImage(host, repository, tag, image)
}

// storeImage stores an image past the guard and the network.
func (g *guardedRegistry) storeImage(host, repository, tag string, image v1.Image) (string, error) {
	namespace, ok := g.namespace(host)
	if !ok {
		return "", fmt.Errorf("%s is no registry of this cloud", host)
	}
	ref, err := name.NewTag(fmt.Sprintf("%s/%s:%s", host, repository, tag), name.StrictValidation)
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, image, remote.WithTransport(inProcess{g.store(namespace)})); err != nil {
		return "", fmt.Errorf("storing %s: %w", ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", ref, err)
	}
	return digest.String(), nil
}

// inProcess is a client's transport straight into a handler.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.Host = r.URL.Host
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, in)
	out := recorder.Result()
	out.Request = r
	return out, nil
}
