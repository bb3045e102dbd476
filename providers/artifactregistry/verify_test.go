package artifactregistry_test

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
		v := &verify.Verifier{Provider: newProvider(t, clock.RealClock{}, google.Transport()), Transport: google.Transport()}
		req := request(v1alpha1.ArtifactRegistry{Hosts: []string{host}}, providers.Identity{})
		req.Registry.Verify = &v1alpha1.Verify{Repository: repository}
		got, err := v.Token(t.Context(), req)
		if err != nil || got.Verified != metav1.ConditionTrue {
			t.Errorf("%s: verified %q, %v", host, got.Verified, err)
		}
		google.SetPull(cloud.GoogleMember(cloud.GoogleAmbientAccount))
		_, err = v.Token(t.Context(), req)
		wantFailure(t, err, v1alpha1.ReasonVerificationFailed, repository, "HTTP status 403, DENIED", "roles/artifactregistry.reader")

		// A token that dies between its making and its trial.
		dead := &dying{Provider: v.Provider, google: google}
		_, err = (&verify.Verifier{Provider: dead, Transport: google.Transport()}).Token(t.Context(), req)
		wantFailure(t, err, v1alpha1.ReasonVerificationFailed, "HTTP status 401")
	}
}

type dying struct {
	providers.Provider
	google *cloud.Google
}

func (d *dying) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	token, err := d.Provider.Token(ctx, req)
	d.google.ExpireAll()
	return token, err
}
