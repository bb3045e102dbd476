package artifactregistry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactregistry"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

const (
	host    = "europe-west1-docker.pkg.dev"
	puller  = "pull@my-project.iam.gserviceaccount.com"
	issuer  = "https://cluster.example"
	subject = "system:serviceaccount:team-a:puller"
	apps    = "projects/my-project/locations/europe-west1/repositories/apps"
)

var (
	pool    = cloud.GoogleIdentityProvider{Name: "projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster", Issuer: issuer}
	cluster = cloud.GoogleCluster{Name: "projects/other-project/locations/us-east1-b/clusters/tools", Issuer: issuer}
	node    = cloud.GoogleCluster{Name: cloud.GoogleClusterName, Issuer: issuer}
)

// startGoogle starts a cloud, and makes its metadata server the one that the SDK finds.
func startGoogle(t *testing.T) *cloud.Google {
	t.Helper()
	return startGoogleAt(t, nil)
}

func startGoogleAt(t *testing.T, now func() time.Time) *cloud.Google {
	t.Helper()
	google, err := cloud.StartGoogle(cloud.GoogleOptions{Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = google.Close() })
	for _, variable := range google.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return google
}

func token(t *testing.T, google *cloud.Google, req providers.Request) (providers.Token, error) {
	t.Helper()
	return newProvider(t, clock.RealClock{}, google.Transport()).Token(t.Context(), req)
}

func mustToken(t *testing.T, google *cloud.Google, req providers.Request) providers.Token {
	t.Helper()
	got, err := token(t, google, req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// newProvider is one that the administrator has told of another universe.
func newProvider(t *testing.T, c clock.PassiveClock, transport http.RoundTripper) *artifactregistry.Provider {
	t.Helper()
	p, err := artifactregistry.New(c, artifactregistry.Options{
		Universes: []string{facts.GoogleUniverse.Domain + "=" + facts.GoogleUniverse.Suffix}, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(spec v1alpha1.ArtifactRegistry, id providers.Identity) providers.Request {
	if spec.Hosts == nil {
		spec.Hosts = []string{host}
	}
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ArtifactRegistry: &spec}, Identity: id}
}

// serviceAccount asks a cluster for its tokens; the audiences asked for are noted.
func serviceAccount(annotations map[string]string, audiences *[]string) providers.Identity {
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller", UID: "1", Annotations: annotations,
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			if lifetime < time.Hour {
				return "", errors.New("the result of an exchange does not outlive a token of less than an hour")
			}
			*audiences = append(*audiences, audience)
			return cloud.WebIdentityToken(issuer, subject, audience, time.Now().Add(lifetime))
		},
	}}
}

func secret(data map[string]string) providers.Identity {
	return providers.Identity{Secret: &providers.Secret{
		Namespace: "team-a", Name: "keys", DataHash: "1",
		Data: func(context.Context) (map[string][]byte, error) {
			raw := map[string][]byte{}
			for k, v := range data {
				raw[k] = []byte(v)
			}
			return raw, nil
		},
	}}
}

func newKey(t *testing.T, google *cloud.Google, email string) string {
	t.Helper()
	key, err := google.NewKey(email)
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

func lastMember(google *cloud.Google) string {
	tokens := google.Tokens()
	return tokens[len(tokens)-1].Member
}

func reason(err error) string {
	var known *providers.Error
	if !errors.As(err, &known) {
		return ""
	}
	return known.Reason
}

// wantFailure compares the reason and looks for words in the message, and for what must not be in it.
func wantFailure(t *testing.T, err error, want string, says ...string) {
	t.Helper()
	if want != v1alpha1.ReasonVerificationFailed { // which is another's
		providertest.Documented(t, err, "artifactregistry.md")
	}
	if reason(err) != want {
		t.Fatalf("got %s (%v), want %s", reason(err), err, want)
	}
	for _, words := range says {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	if cloud.ContainsCanary([]byte(err.Error())) {
		t.Error("the error shows a secret")
	}
	if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "?\n") {
		t.Errorf("%q is not one readable sentence", err)
	}
}

func TestTheServiceAccountsTokenIsExchanged(t *testing.T) {
	for name, c := range map[string]struct {
		spec     v1alpha1.ArtifactRegistry
		audience string
		member   string
	}{
		"in a workload identity pool":     {v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name}, "https://iam.googleapis.com/" + pool.Name, pool.Member(subject)},
		"in a GKE cluster's namespace":    {v1alpha1.ArtifactRegistry{GKECluster: cluster.Name}, "other-project.svc.id.goog", cluster.Member("team-a", "puller")},
		"in its own GKE cluster's":        {v1alpha1.ArtifactRegistry{}, "my-project.svc.id.goog", node.Member("team-a", "puller")},
		"in its fleet's":                  {v1alpha1.ArtifactRegistry{FleetMembership: member.Name}, "my-project.svc.id.goog", member.Member("team-a", "puller")},
		"in another universe":             {v1alpha1.ArtifactRegistry{Hosts: facts.GoogleUniverse.Hosts, WorkloadIdentityProvider: pool.Name}, "https://iam.googleapis.com/" + pool.Name, pool.Member(subject)},
		"for one region alone":            {v1alpha1.ArtifactRegistry{Hosts: []string{"docker.me-central2.rep.pkg.dev"}, WorkloadIdentityProvider: pool.Name}, "https://iam.googleapis.com/" + pool.Name, pool.Member(subject)},
		"for gcr.io, in a namespace, too": {v1alpha1.ArtifactRegistry{Hosts: []string{"gcr.io"}}, "my-project.svc.id.goog", node.Member("team-a", "puller")},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			google.AddCluster(cluster)
			google.AddCluster(node)
			google.AddCluster(member)
			var audiences []string
			got := mustToken(t, google, request(c.spec, serviceAccount(nil, &audiences)))
			if diff := cmp.Diff([]string{c.audience}, audiences); diff != "" {
				t.Errorf("audiences asked for (-want +got):\n%s", diff)
			}
			if got := lastMember(google); got != c.member {
				t.Errorf("the token is %s's, want %s's", got, c.member)
			}
			if life := time.Until(got.ExpiresAt); life < 59*time.Minute || life > time.Hour {
				t.Errorf("the token lives for %s, want a whole hour", life)
			}
			if !got.RenewableAt.IsZero() || got.Logins[0].Username != "oauth2accesstoken" || !google.IsLive(got.Logins[0].Password.Reveal()) {
				t.Errorf("username %s, renewable at %s, live: %t", got.Logins[0].Username, got.RenewableAt, google.IsLive(got.Logins[0].Password.Reveal()))
			}
		})
	}
}

func TestAFederatedTokenEndsWithItsSubjects(t *testing.T) {
	google := startGoogle(t)
	google.AddIdentityProvider(pool)
	id := serviceAccount(nil, new([]string))
	id.ServiceAccount.RequestToken = func(_ context.Context, audience string, _ time.Duration) (string, error) {
		// The API server grants less than was asked for if it is set up so.
		return cloud.WebIdentityToken(issuer, subject, audience, time.Now().Add(15*time.Minute))
	}
	got := mustToken(t, google, request(v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name}, id))
	if life := time.Until(got.ExpiresAt); life > 15*time.Minute || life < 14*time.Minute {
		t.Errorf("the token lives for %s, want 15m", life)
	}
}

func TestAServiceAccountIsImpersonatedOnTopOfAnyIdentity(t *testing.T) {
	for name, c := range map[string]struct {
		identity func(t *testing.T, google *cloud.Google) (providers.Identity, string)
		spec     v1alpha1.ArtifactRegistry
		life     time.Duration
	}{
		"ambient": {
			func(*testing.T, *cloud.Google) (providers.Identity, string) {
				return providers.Identity{}, cloud.GoogleMember(cloud.GoogleAmbientAccount)
			},
			v1alpha1.ArtifactRegistry{ServiceAccount: puller}, time.Hour,
		},
		"key in a Secret, for 12 hours": {
			func(t *testing.T, google *cloud.Google) (providers.Identity, string) {
				t.Helper()
				google.AddServiceAccount(cloud.GoogleServiceAccount{Email: "ci@my-project.iam.gserviceaccount.com"})
				return secret(map[string]string{"credentials.json": newKey(t, google, "ci@my-project.iam.gserviceaccount.com")}),
					cloud.GoogleMember("ci@my-project.iam.gserviceaccount.com")
			},
			v1alpha1.ArtifactRegistry{ServiceAccount: puller, TokenLifetime: "12h"}, 12 * time.Hour,
		},
		"ServiceAccount of a GKE cluster, by annotation": {
			func(*testing.T, *cloud.Google) (providers.Identity, string) {
				return serviceAccount(map[string]string{"iam.gke.io/gcp-service-account": puller}, new([]string)), node.Member("team-a", "puller")
			},
			v1alpha1.ArtifactRegistry{TokenLifetime: "20m"}, 20 * time.Minute,
		},
		"ServiceAccount in a pool, by the entry before the annotation": {
			func(*testing.T, *cloud.Google) (providers.Identity, string) {
				return serviceAccount(map[string]string{"iam.gke.io/gcp-service-account": "other@my-project.iam.gserviceaccount.com"}, new([]string)), pool.Member(subject)
			},
			v1alpha1.ArtifactRegistry{ServiceAccount: puller, WorkloadIdentityProvider: pool.Name, TokenLifetime: "1h30m"}, 90 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			google.AddCluster(node)
			id, member := c.identity(t, google)
			google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{member}, ExtendedLifetime: true})
			got := mustToken(t, google, request(c.spec, id))
			if last := lastMember(google); last != cloud.GoogleMember(puller) {
				t.Errorf("the token is %s's", last)
			}
			if life := time.Until(got.ExpiresAt); life < c.life-time.Minute || life > c.life {
				t.Errorf("the token lives for %s, want %s", life, c.life)
			}
			if !got.RenewableAt.IsZero() {
				t.Error("a token of an impersonated service account is a new one each time")
			}
		})
	}
}

// The schema keeps hostile hosts out. The provider does not rely on it: nothing is asked for, so nothing can be sent or published.
func TestNothingIsAskedForAHostileHost(t *testing.T) {
	google := startGoogle(t)
	p := newProvider(t, clock.RealClock{}, google.Transport())
	hostile := providertest.HostileHosts("europe-west1-docker", "pkg.dev")
	hostile = append(hostile, providertest.HostileHosts("gcr", "io")...)
	for _, bad := range hostile {
		for _, hosts := range [][]string{{bad}, {host, bad}} {
			got, err := p.Token(t.Context(), request(v1alpha1.ArtifactRegistry{Hosts: hosts}, providers.Identity{}))
			if reason(err) != v1alpha1.ReasonInvalidRequest || len(got.Logins) > 0 {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
	_, err := p.Token(t.Context(), request(v1alpha1.ArtifactRegistry{Hosts: []string{}}, providers.Identity{}))
	wantFailure(t, err, v1alpha1.ReasonInvalidRequest, "hosts is empty")
	if calls := google.Calls(); len(calls) > 0 {
		t.Errorf("Google was asked: %v", calls)
	}
}

func TestTheRepositoriesAreChecked(t *testing.T) {
	const gcr = "projects/my-project/locations/europe/repositories/eu.gcr.io"
	ambient := cloud.GoogleMember(cloud.GoogleAmbientAccount)
	for name, c := range map[string]struct {
		pull   []string
		spec   v1alpha1.ArtifactRegistry
		setUp  func(*cloud.Google)
		reason string
		says   []string
	}{
		"allowed":        {pull: []string{apps}, spec: v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}}},
		"allowed at gcr": {pull: []string{gcr}, spec: v1alpha1.ArtifactRegistry{Hosts: []string{"eu.gcr.io"}, Repositories: []string{"eu.gcr.io"}}},
		"one of two is not": {
			pull: []string{apps}, spec: v1alpha1.ArtifactRegistry{Repositories: []string{"apps", "tools"}}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{
				"the controller's own identity lacks the permission artifactregistry.repositories.downloadArtifacts on projects/my-project/locations/europe-west1/repositories/tools",
				"grant roles/artifactregistry.reader on it to the controller's own identity",
			},
		},
		"the impersonated service account counts": {
			pull: []string{apps}, spec: v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}, ServiceAccount: puller}, reason: v1alpha1.ReasonAccessDenied,
			setUp: func(g *cloud.Google) {
				g.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{ambient}})
			},
			says: []string{"roles/artifactregistry.reader on it to serviceAccount:" + puller},
		},
		"another repository at gcr": {
			spec: v1alpha1.ArtifactRegistry{Hosts: []string{"eu.gcr.io"}, Repositories: []string{"apps"}}, reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"the repository behind eu.gcr.io is called eu.gcr.io"},
		},
		"two hosts": {
			spec: v1alpha1.ArtifactRegistry{Hosts: []string{"gcr.io", host}, Repositories: []string{"apps"}}, reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"exactly one host"},
		},
		"the API is off": {
			spec: v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}}, reason: v1alpha1.ReasonAccessDenied,
			setUp: func(g *cloud.Google) { g.SetAPIDisabled(true) }, says: []string{"testIamPermissions on " + apps, "SERVICE_DISABLED", "enable this API"},
		},
		"the API is down": {
			spec:  v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}},
			setUp: func(g *cloud.Google) { g.ArtifactRegistry.Set(cloud.Fault{Outage: cloud.OutageServerError}) },
		},
		"the API throttles": {
			spec:  v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}},
			setUp: func(g *cloud.Google) { g.ArtifactRegistry.Set(cloud.Fault{Throttle: -1}) },
		},
		"the API cannot be reached": {
			spec:  v1alpha1.ArtifactRegistry{Repositories: []string{"apps"}},
			setUp: func(g *cloud.Google) { g.ArtifactRegistry.Set(cloud.Fault{Outage: cloud.OutageClosed}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.SetPull(ambient, c.pull...)
			if c.setUp != nil {
				c.setUp(google)
			}
			c.spec.Project = "my-project"
			got, err := token(t, google, request(c.spec, providers.Identity{}))
			if c.reason != "" {
				wantFailure(t, err, c.reason, c.says...)
				if len(got.Logins) > 0 {
					t.Error("a token was returned beside the failure")
				}
				return
			}
			if err != nil || !google.IsLive(got.Logins[0].Password.Reveal()) {
				t.Errorf("no live token: %v", err)
			}
			if asked := google.Calls().Of(cloud.ActionTestIamPermissions); asked != len(c.spec.Repositories) {
				t.Errorf("the API was asked %d times, want once for each repository", asked)
			}
		})
	}
}
