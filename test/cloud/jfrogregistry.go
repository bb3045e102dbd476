package cloud

import (
	"net"
	"net/http"
	"strings"
)

func (j *JFrog) jfrogRegistry() *guardedRegistry {
	return &guardedRegistry{
		namespace: func(host string) (string, bool) {
			host, _, _ = strings.Cut(host, ":")
			return host, j.isHost(host)
		},
		guard: j.guardJFrog,
		challenge: func(header http.Header, _ string) {
			header.Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
		},
	}
}

// guardJFrog checks a token as the password of its own user, or as a bearer token: that it is live, and that it may read from the
// repository of Artifactory that the host or the path names.
func (j *JFrog) guardJFrog(r registryRequest) *failure {
	username, password, basic := r.BasicAuth()
	if !basic {
		password, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	token, ok := j.tokens.find(password)
	if !ok || !token.live(j.clock.now()) || basic && username != token.Username {
		return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication required"}
	}
	switch {
	case r.action == ActionPing:
		return nil
	case r.action == ActionPush || !j.mayRead(token, j.repositoryOf(r)):
		return denied(http.StatusForbidden, "The requested access to the resource is denied")
	default:
		return nil
	}
}

// repositoryOf is the key of the repository of Artifactory behind a request, in the three ways of naming it: by sub-domain,
// <host>:<port>/image and <host>/<key>/image. Empty if it is named in none.
func (j *JFrog) repositoryOf(r registryRequest) string {
	if r.host != j.options.Host {
		key, _ := j.subDomain(r.host)
		return key
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil && port != "443" {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.ports[port]
	}
	key, _, ok := strings.Cut(r.repository, "/")
	if !ok {
		return ""
	}
	return key
}
