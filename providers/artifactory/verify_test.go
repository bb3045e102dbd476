package artifactory_test

import (
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
	"github.com/regcred/regcred/test/cloud"
)

// Artifactory asks for Basic authentication, or leads to a token endpoint of each of its repositories. Tokens are tried with both, at each form of
// host.
func TestTokensAreTriedAtArtifactory(t *testing.T) {
	for challenge, bearer := range map[string]bool{"Basic": false, "Bearer": true} {
		for host, repository := range map[v1alpha1.Host]string{"acme.jfrog.io": "docker-local/app", "acme-docker-local.jfrog.io": "app", "acme.jfrog.io:5001": "app"} {
			jfrog := startJFrog(t, cloud.JFrogOptions{BearerChallenge: bearer})
			req := request(v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: []v1alpha1.Host{host}, ProviderName: "cluster"}, serviceAccount(t, nil))
			req.Registry.Verify = &v1alpha1.Verify{Repository: repository}
			trials := verify.New(jfrog.Transport(), nil)
			login, pull, err := trials.Pick(req, tokenOf(t, jfrog, req))
			if err != nil {
				t.Fatal(err)
			}
			want := func(when string, result providers.Result, answer string) {
				t.Helper()
				if got, err := trials.Try(t.Context(), login, pull); err != nil || got.Result != result || got.Answer != answer {
					t.Errorf("%s at %s, %s: %+v, %v", challenge, host, when, got, err)
				}
			}
			want("a new token", providers.PullAllowed, "")
			jfrog.SetReadable("readers")
			want("without the right to read", providers.PullDenied, "HTTP status 403, DENIED")
			jfrog.Revoke(last(jfrog).ID)
			want("when it is revoked", providers.LoginRefused, "HTTP status 401")
		}
	}
}
