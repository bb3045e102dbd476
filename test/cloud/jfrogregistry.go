package cloud

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
)

func (j *JFrog) jfrogRegistry() *guardedRegistry {
	registry := &guardedRegistry{
		namespace: func(host string) (string, bool) {
			host, _, _ = strings.Cut(host, ":")
			return host, j.isHost(host)
		},
		guard: j.guardJFrog,
		challenge: func(header http.Header, _ registryRequest) {
			header.Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
		},
	}
	if j.options.BearerChallenge {
		registry.realm, registry.challenge = j.jfrogRealm(), j.bearerChallenge
	}
	return registry
}

// jfrogRealm is the token endpoint of every repository of Artifactory. It gives out tokens for any scope: what the user may read is asked again
// at each pull.
func (j *JFrog) jfrogRealm() *tokenRealm {
	return &tokenRealm{
		path: "/artifactory/api/docker/*/v2/token",
		authenticate: func(_, username, password string) (string, *failure) {
			if token, ok := j.tokens.find(password); !ok || !token.live(j.clock.now()) || token.Username != username {
				return "", jfrogUnauthorized("Wrong username was used")
			}
			return password, nil
		},
		may:   func(string, string, string, string) bool { return true },
		clock: j.clock,
	}
}

// bearerChallenge leads to the endpoint of the repository of Artifactory. Where a request names none, its key is null, as in JFrog's own
// configuration of nginx, which leads /v2/token there.
func (j *JFrog) bearerChallenge(header http.Header, r registryRequest) {
	header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://%[1]s/artifactory/api/docker/%[2]s/v2/token",service=%[1]q`,
		r.Host, cmp.Or(j.repositoryOf(r), "null")))
}

// guardJFrog checks a token as the password of its own user, or as a bearer token: that it is live, and that it may read from the
// repository of Artifactory that the host or the path names.
func (j *JFrog) guardJFrog(r registryRequest) *failure {
	username, password, basic := r.BasicAuth()
	if !basic {
		password, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if realm := j.registry.realm; realm != nil && !basic {
		if b, ok := realm.find(password); ok {
			if failed := realm.guard(r); failed != nil {
				return failed
			}
			password = b.principal
		}
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
