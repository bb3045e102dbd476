package artifactregistry_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

var member = cloud.GoogleCluster{Name: "projects/my-project/locations/global/memberships/my-cluster", Issuer: issuer}

// A token that may change nothing is asked for only where it is published: the IAM Credentials API does not take it.
func TestATokenMayBeReadOnly(t *testing.T) {
	const all, read = facts.GoogleScope, facts.GoogleScope + ".read-only"
	for name, c := range map[string]struct {
		spec v1alpha1.ArtifactRegistry
		want []string
	}{
		"by default it may what IAM allows": {v1alpha1.ArtifactRegistry{}, []string{all}},
		"a federated token":                 {v1alpha1.ArtifactRegistry{ReadOnlyScope: true}, []string{read}},
		"an impersonated account's":         {v1alpha1.ArtifactRegistry{ReadOnlyScope: true, ServiceAccount: puller}, []string{all, read}},
		"with its permissions checked": {v1alpha1.ArtifactRegistry{ReadOnlyScope: true, ServiceAccount: puller, Project: "my-project", Repositories: []string{"apps"}},
			[]string{all, read}},
	} {
		google := startGoogle(t)
		google.AddIdentityProvider(pool)
		google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{pool.Member(subject)}})
		google.SetPull(cloud.GoogleMember(puller), "*")
		c.spec.WorkloadIdentityProvider = pool.Name
		mustToken(t, google, request(c.spec, serviceAccount(nil, new([]string))))
		var got []string
		for _, token := range google.Tokens() {
			got = append(got, token.Scope)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnotherUniverseHasItsOwnAPIs(t *testing.T) {
	google := startGoogle(t)
	google.AddIdentityProvider(pool)
	google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{pool.Member(subject)}})
	google.SetPull(cloud.GoogleMember(puller), "*")
	var asked []string
	p := newProvider(t, clock.RealClock{}, roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Host)
		return google.Transport().RoundTrip(r)
	}))
	req := request(v1alpha1.ArtifactRegistry{Hosts: []string{"u-france-east1-docker.s3nsregistry.fr"}, WorkloadIdentityProvider: pool.Name, ServiceAccount: puller,
		Project: "my-project", Repositories: []string{"apps"}}, serviceAccount(nil, new([]string)))
	if _, err := p.Token(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sts.s3nsapis.fr", "iamcredentials.s3nsapis.fr", "artifactregistry.s3nsapis.fr"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := p.Endpoint(req); got != "sts.s3nsapis.fr and iamcredentials.s3nsapis.fr" {
		t.Errorf("the endpoint is %q", got)
	}
	req = request(v1alpha1.ArtifactRegistry{Hosts: facts.GoogleUniverse.Hosts}, secret(map[string]string{"credentials.json": newKey(t, google, puller)}))
	_, err := p.Token(t.Context(), req)
	wantFailure(t, err, v1alpha1.ReasonIdentityInvalid, "another universe")
}

func TestTheAudiencesOfExchangesAreGooglesOwn(t *testing.T) {
	for kind, spec := range map[string]v1alpha1.ArtifactRegistry{
		"GKE": {GKECluster: "projects/my-project/locations/europe-west1/clusters/my-cluster"}, "fleet": {FleetMembership: member.Name},
	} {
		var asked string
		p := newProvider(t, clock.RealClock{}, roundTripper(func(r *http.Request) (*http.Response, error) {
			_ = r.ParseForm()
			asked = r.PostForm.Get("audience")
			return nil, errors.New("nobody is there")
		}))
		if _, err := p.Token(t.Context(), request(spec, serviceAccount(nil, new([]string)))); err == nil || asked != facts.GoogleAudiences[kind] {
			t.Errorf("%s: %q was asked for, want %q (%v)", kind, asked, facts.GoogleAudiences[kind], err)
		}
	}
}
