package artifactregistry_test

import (
	"testing"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
	"github.com/regcred/regcred/test/cloud"
)

// Google's challenges are unusual: without a service, or with one that is not quoted, and none at all for a dead token. Tokens are tried
// at its registries all the same.
func TestTokensAreTriedAtTheRegistries(t *testing.T) {
	for host, repository := range map[string]string{host: "my-project/apps/app", "eu.gcr.io": "my-project/app"} {
		google := startGoogle(t)
		trials := verify.New(google.Transport(), nil)
		req := request(v1alpha1.ArtifactRegistry{Hosts: []string{host}}, providers.Identity{})
		req.Registry.Verify = &v1alpha1.Verify{Repository: repository}
		token, err := newProvider(t, clock.RealClock{}, google.Transport()).Token(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		login, pull, err := trials.Pick(req, token)
		if err != nil {
			t.Fatal(err)
		}
		want := func(when string, result providers.Result, answer string) {
			t.Helper()
			if got, err := trials.Try(t.Context(), login, pull); err != nil || got.Result != result || got.Answer != answer {
				t.Errorf("%s, %s: %+v, %v", host, when, got, err)
			}
		}
		want("a new token", providers.PullAllowed, "")
		google.SetPull(cloud.GoogleMember(cloud.GoogleAmbientAccount))
		want("without the right to pull", providers.PullDenied, "HTTP status 403, DENIED")
		google.ExpireAll()
		want("when it is dead", providers.LoginRefused, "HTTP status 401")
	}
}
