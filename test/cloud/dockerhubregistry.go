package cloud

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// isHubHost says which hosts the registry has. docker.io itself is none: it is a name in image references, and a web page.
func isHubHost(host string) bool { return host == hubRegistry || host == "index.docker.io" }

func (h *DockerHub) hubRealm() *tokenRealm {
	return &tokenRealm{
		host:    func(string) string { return hubAuth },
		path:    "/token",
		service: func(string) string { return hubService },
		authenticate: func(_, username, password string) (string, *failure) {
			if username == hubAnonymous && password == "" || username != hubAnonymous && h.knows(username, password) {
				return username, nil
			}
			return "", &failure{status: http.StatusUnauthorized, message: "incorrect username or password"}
		},
		may:   func(principal, _, repository, _ string) bool { return h.mayPull(principal, repository) },
		clock: h.clock,
	}
}

func (h *DockerHub) authService() *service {
	return &service{
		faults: h.Auth, calls: h.calls, clock: h.clock,
		throttled: failure{status: http.StatusTooManyRequests, code: codeTooManyRequests, message: "too many requests"},
		down:      failure{status: http.StatusInternalServerError, code: codeUnknown, message: "internal error"},
		action:    func(*request) string { return ActionRealmToken },
		answer:    h.hubToken,
		refuse: func(w http.ResponseWriter, _ *request, f *failure) {
			body, err := json.Marshal(map[string]string{"details": f.message})
			if err != nil {
				panic(err) // this is plain text
			}
			writeWhole(w, f.status, "application/json", body)
		},
	}
}

// hubToken gives out a token for the service that is asked for. One for another service than the registry is worth nothing there.
func (h *DockerHub) hubToken(r *request) (http.HandlerFunc, *failure) {
	if !h.realm.is(r.Request) {
		return nil, &failure{status: http.StatusNotFound, code: codeUnknown, message: "not found"}
	}
	switch {
	case r.Method == http.MethodPost:
		if failed := readForm(r); failed != nil {
			return nil, failed
		}
	case r.Header.Get("Authorization") == "":
		r.SetBasicAuth(hubAnonymous, "")
	}
	return h.realm.answer(r.URL.Query().Get("service"), r.Request)
}

// readForm takes a login from a form, in which OAuth 2 clients such as containerd send it, as from a header and a query (distribution
// specification, auth/oauth.md).
func readForm(r *request) *failure {
	form, err := url.ParseQuery(string(r.body))
	if err != nil || form.Get("grant_type") != "password" {
		return &failure{status: http.StatusBadRequest, code: codeUnknown, message: "unsupported grant type"}
	}
	r.SetBasicAuth(form.Get("username"), form.Get("password"))
	r.URL.RawQuery = url.Values{"service": form["service"], "scope": strings.Fields(form.Get("scope"))}.Encode()
	return nil
}

func (h *DockerHub) hubGuardedRegistry() *guardedRegistry {
	return &guardedRegistry{
		namespace: func(host string) (string, bool) { return hubService, isHubHost(host) },
		guard:     h.guardHub,
		challenge: h.realm.challenge,
	}
}

// guardHub answers a token without the scope as one that is none, as Hub does.
func (h *DockerHub) guardHub(r registryRequest) *failure {
	r.host = hubService
	failed := h.realm.guard(r)
	if failed == nil && r.repository != "" && !h.mayPull(h.principal(r.Request), r.repository) {
		failed = denied(http.StatusForbidden, "requested access to the resource is denied")
	}
	if failed != nil {
		return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication required"}
	}
	if r.action != ActionGetManifest {
		return nil
	}
	if _, _, ok := h.quota(h.principal(r.Request), true); !ok {
		return &failure{status: http.StatusTooManyRequests, code: codeTooManyRequests, message: "You have reached your pull rate limit."}
	}
	return nil
}

// principal is whose bearer token the request has.
func (h *DockerHub) principal(r *http.Request) string {
	h.realm.mu.Lock()
	defer h.realm.mu.Unlock()
	return h.realm.bearers[sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))].principal
}

// registryService is the registry with Hub's rate limit headers on every manifest. A HEAD costs nothing.
func (h *DockerHub) registryService() *service {
	s := h.registry.service(h.Registry, h.calls, h.clock)
	answer := s.answer
	s.answer = func(r *request) (http.HandlerFunc, *failure) {
		write, failed := answer(r)
		action := parseRegistryRequest(r.Request).action
		if failed != nil || action != ActionGetManifest && action != ActionHeadManifest {
			return write, failed
		}
		limit, remaining, _ := h.quota(h.principal(r.Request), false)
		if limit == 0 {
			return write, nil
		}
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Ratelimit-Limit", inWindow(limit))
			w.Header().Set("Ratelimit-Remaining", inWindow(remaining))
			w.Header().Set("Docker-Ratelimit-Source", fmt.Sprintf("%x", sha256.Sum256([]byte(h.principal(r))))[:32])
			write(w, r)
		}, nil
	}
	return s
}
