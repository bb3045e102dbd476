package cloud

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// googleHosts match the hosts of Docker repositories by location: of all, of one region alone, and of another universe.
var googleHosts = []*regexp.Regexp{
	regexp.MustCompile(`^([a-z]+(?:-[a-z]+[0-9]+)?)-docker\.pkg\.dev$`),
	regexp.MustCompile(`^docker\.([a-z]+-[a-z]+[0-9]+)\.rep\.pkg\.dev$`),
	regexp.MustCompile(`^(?:([a-z0-9-]+)-)?docker\.s3nsregistry\.fr$`),
}

// googleContainerRegistry are the hosts of gcr.io by the location of the repository behind each, which has the host's name.
var googleContainerRegistry = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia", "marketplace.gcr.io": "us"}

func googleLocation(host string) (string, bool) {
	if location, ok := googleContainerRegistry[host]; ok {
		return location, true
	}
	for _, form := range googleHosts {
		if match := form.FindStringSubmatch(host); match != nil {
			return match[1], true
		}
	}
	return "", false
}

// googleRepository is the name in the API of the repository that holds an image: <project>/<repository>/<image> at pkg.dev,
// <project>/<image> at gcr.io. Empty if there can be none.
func googleRepository(host, image string) string {
	location, _ := googleLocation(host)
	parts := strings.Split(image, "/")
	if _, gcr := googleContainerRegistry[host]; gcr && len(parts) >= 2 {
		return fmt.Sprintf("projects/%s/locations/%s/repositories/%s", parts[0], location, host)
	}
	if len(parts) < 3 {
		return ""
	}
	return fmt.Sprintf("projects/%s/locations/%s/repositories/%s", parts[0], location, parts[1])
}

// SeedImage stores a tiny image in the registry of host and returns its digest.
func (g *Google) SeedImage(host, repository, tag string) (digest string, err error) {
	return g.registry.seed(host, repository, tag)
}

func (g *Google) googleRegistry() *guardedRegistry {
	realm := &tokenRealm{
		host: func(registry string) string { return registry }, path: "/v2/token", service: func(string) string { return "" },
		authenticate: func(_, username, password string) (string, *failure) { return g.googleLogin(username, password) },
		may: func(member, registry, image, action string) bool {
			return action != ActionPush && g.iam.mayPull(member, googleRepository(registry, image))
		},
		clock: g.clock,
	}
	return &guardedRegistry{
		namespace: func(host string) (string, bool) {
			_, ok := googleLocation(host)
			return host, ok
		},
		guard: func(r registryRequest) *failure { return g.guardGoogle(realm, r) },
		challenge: func(header http.Header, r registryRequest) {
			challenge := fmt.Sprintf(`Bearer realm="https://%s/v2/token"`, r.host)
			if _, gcr := googleContainerRegistry[r.host]; gcr {
				challenge += ",service=" + r.host
			}
			header.Set("WWW-Authenticate", challenge)
		},
		realm: realm,
	}
}

// googleLogin is who has an access token as a password. A dead one is refused without a challenge: there is nothing to try again with.
func (g *Google) googleLogin(username, password string) (member string, failed *failure) {
	token, ok := g.tokens.find(password)
	if username != "oauth2accesstoken" && username != "_token" || !ok || !token.live(g.clock.now()) {
		return "", deadGoogleToken()
	}
	return token.Member, nil
}

func deadGoogleToken() *failure {
	return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "authentication failed", noChallenge: true}
}

// guardGoogle takes a bearer token of the realm, and an access token in its place.
func (g *Google) guardGoogle(realm *tokenRealm, r registryRequest) *failure {
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, ok := g.tokens.find(value)
	switch {
	case !ok:
		return realm.guard(r)
	case !token.live(g.clock.now()):
		return deadGoogleToken()
	case r.action == ActionPing:
		return nil
	case r.action == ActionPush || !g.iam.mayPull(token.Member, googleRepository(r.host, r.repository)):
		return denied(http.StatusForbidden, fmt.Sprintf(`Permission %q denied on resource %q (or it may not exist)`, googleDownload, googleRepository(r.host, r.repository)))
	}
	return nil
}
