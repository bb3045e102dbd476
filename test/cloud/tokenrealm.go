package cloud

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// CanaryRealm starts the bearer tokens that a registry's token endpoint gives out.
const CanaryRealm = canaryPrefix + "realm-"

// ActionRealmToken is a request to the token endpoint of a registry.
const ActionRealmToken = "registry:Token"

// bearerLife is the life of a bearer token; the least that the specification demands of a server.
const bearerLife = time.Minute

// tokenRealm is the token endpoint of a registry (distribution specification, auth/token.md and auth/oauth.md): it takes a username and
// password by Basic, and gives out a bearer token for what they may do. As many registries do, it grants a part of the scope that is
// asked for without a word: to have logged in is not to be able to pull.
type tokenRealm struct {
	// host is where the endpoint is, for a registry at host; most have it on the registry's own.
	host func(registry string) string
	// path is the endpoint's, as a pattern of path.Match where there are many.
	path string
	// service is what the challenge names; an empty one is left out of it.
	service func(registry string) string
	// authenticate names the principal behind the credentials.
	authenticate func(registry, username, password string) (principal string, failed *failure)
	// may says what a principal may do in a repository of the registry.
	may func(principal, registry, repository, action string) bool

	// life is that of a bearer token; bearerLife if it is 0.
	life time.Duration
	// sign makes a bearer token; one that says nothing if it is nil.
	sign func(bearer) string

	clock *clock

	mu      sync.Mutex
	bearers map[[sha256.Size]byte]bearer
}

// bearer is what a bearer token stands for.
type bearer struct {
	registry, principal string
	repositories        []string
	expires             time.Time
}

// challenge sets the header of a 401. The scope is that of the request, as the distribution registry says it.
func (t *tokenRealm) challenge(header http.Header, r registryRequest) {
	challenge := fmt.Sprintf(`Bearer realm="https://%s%s"`, t.host(r.host), t.path)
	if service := t.service(r.host); service != "" {
		challenge += fmt.Sprintf(",service=%q", service)
	}
	header.Set("WWW-Authenticate", challenge)
}

// is says whether the request is for the token endpoint.
func (t *tokenRealm) is(r *http.Request) bool {
	matched, err := path.Match(t.path, r.URL.Path)
	return matched && err == nil
}

// answer gives out a bearer token for the registry.
func (t *tokenRealm) answer(registry string, r *http.Request) (http.HandlerFunc, *failure) {
	username, password, ok := r.BasicAuth()
	if !ok {
		return nil, &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication required"}
	}
	principal, failed := t.authenticate(registry, username, password)
	if failed != nil {
		return nil, failed
	}
	b := bearer{registry: registry, principal: principal, expires: t.clock.now().Add(cmp.Or(t.life, bearerLife))}
	for _, scope := range r.URL.Query()["scope"] {
		kind, rest, _ := strings.Cut(scope, ":")
		at := strings.LastIndexByte(rest, ':')
		if kind != "repository" || at < 0 {
			continue
		}
		repository, actions := rest[:at], strings.Split(rest[at+1:], ",")
		if slices.Contains(actions, "pull") && t.may(principal, registry, repository, ActionGetManifest) {
			b.repositories = append(b.repositories, repository)
		}
	}
	token := newSecret(CanaryRealm, 64)
	if t.sign != nil {
		token = t.sign(b)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bearers == nil {
		t.bearers = map[[sha256.Size]byte]bearer{}
	}
	t.bearers[sha256.Sum256([]byte(token))] = b
	return func(w http.ResponseWriter, _ *http.Request) {
		body, err := json.Marshal(map[string]any{"token": token, "access_token": token, "expires_in": int(cmp.Or(t.life, bearerLife).Seconds())})
		if err != nil {
			panic(err) // these are plain values
		}
		writeWhole(w, http.StatusOK, "application/json", body)
	}, nil
}

// find is what a live bearer token stands for.
func (t *tokenRealm) find(token string) (bearer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.bearers[sha256.Sum256([]byte(token))]
	return b, ok && t.clock.now().Before(b.expires)
}

// guard lets a request through whose bearer token was given out for it.
func (t *tokenRealm) guard(r registryRequest) *failure {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication required"}
	}
	b, ok := t.find(token)
	switch {
	case !ok || b.registry != r.host:
		return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication required"}
	case r.action == ActionPing || r.action != ActionPush && slices.Contains(b.repositories, r.repository):
		return nil
	default:
		return denied(http.StatusForbidden, "requested access to the resource is denied")
	}
}
