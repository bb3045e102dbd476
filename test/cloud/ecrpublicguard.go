package cloud

import (
	"net/http"
)

// ecrPublicHost is the public registry, as its challenge names it.
const ecrPublicHost = "public.ecr.aws"

func isECRPublicHost(host string) bool { return host == ecrPublicHost || host == "ecr-public.aws.com" }

// ecrPublicRegistry is one registry under two hosts. Whoever has a token may pull all of it. The real one serves those without a token,
// too, within limits; this one does not, so that a pull proves the token.
func (a *AWS) ecrPublicRegistry() *guardedRegistry {
	realm := &tokenRealm{
		host:    func(registry string) string { return registry },
		path:    "/token/",
		service: func(string) string { return ecrPublicHost },
		authenticate: func(_, username, password string) (string, *failure) {
			token, ok := a.publicTokens.find(password)
			if !ok || username != ecrUsername {
				return "", &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "Not Authorized"}
			}
			if !token.live(a.clock.now()) {
				return "", denied(http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again.")
			}
			return token.Principal, nil
		},
		may:   func(_, _, _, action string) bool { return action != ActionPush },
		clock: a.clock,
	}
	return &guardedRegistry{
		namespace: func(host string) (string, bool) { return ecrPublicHost, isECRPublicHost(host) },
		guard:     realm.guard,
		challenge: func(header http.Header, r registryRequest) {
			realm.challenge(header, r)
			header.Set("WWW-Authenticate", header.Get("WWW-Authenticate")+`,scope="aws"`)
		},
		realm: realm,
	}
}
