package artifactregistry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
)

const extended = "constraints/iam.allowServiceAccountCredentialLifetimeExtension"

func TestBadIdentitiesAreExplained(t *testing.T) {
	inPool := v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name}
	asPuller := v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name, ServiceAccount: puller}
	for name, c := range map[string]struct {
		setUp    func(*cloud.Google)
		spec     v1alpha1.ArtifactRegistry
		identity providers.Identity
		reason   string
		says     []string
	}{
		"provider that does not exist": {
			spec: inPool, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonInvalidRequest,
			says: []string{pool.Name, "ServiceAccount team-a/puller", "(invalid_target)", "check its name"},
		},
		"cluster that does not exist": {
			identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"the identity namespace of " + cloud.GoogleClusterName, "(invalid_target)"},
		},
		"issuer that the provider does not trust": {
			setUp: func(g *cloud.Google) {
				g.AddIdentityProvider(cloud.GoogleIdentityProvider{Name: pool.Name, Issuer: "https://other.example"})
			},
			spec: inPool, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonAccessDenied,
			says: []string{"(invalid_grant)", "trust the cluster's issuer with sub " + subject + " and aud https://iam.googleapis.com/" + pool.Name},
		},
		"audience that the provider does not allow": {
			setUp: func(g *cloud.Google) {
				g.AddIdentityProvider(cloud.GoogleIdentityProvider{Name: pool.Name, Issuer: issuer, Audiences: []string{"other"}})
			},
			spec: inPool, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonAccessDenied, says: []string{"(invalid_grant)"},
		},
		"attribute condition": {
			setUp: func(g *cloud.Google) {
				g.AddIdentityProvider(cloud.GoogleIdentityProvider{Name: pool.Name, Issuer: issuer, Subjects: []string{"other"}})
			},
			spec: inPool, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonAccessDenied, says: []string{"(unauthorized_client)", "attribute condition"},
		},
		"ServiceAccount that may not impersonate": {
			setUp: func(g *cloud.Google) { g.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller}) },
			spec:  asPuller, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonAccessDenied,
			says: []string{"generateAccessToken of " + puller, "(PERMISSION_DENIED)", "grant roles/iam.workloadIdentityUser on the service account to " + pool.Member(subject)},
		},
		"controller that may not impersonate": {
			spec: v1alpha1.ArtifactRegistry{ServiceAccount: puller}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{"grant roles/iam.serviceAccountTokenCreator on the service account to the controller's own identity"},
		},
		"disabled service account": {
			setUp: func(g *cloud.Google) {
				g.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Disabled: true, Impersonators: []string{pool.Member(subject)}})
			},
			spec: asPuller, identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonAccessDenied, says: []string{"(FAILED_PRECONDITION)", "disabled"},
		},
		"lifetime that the organization does not allow": {
			setUp: func(g *cloud.Google) {
				g.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{cloud.GoogleMember(cloud.GoogleAmbientAccount)}})
			},
			spec: v1alpha1.ArtifactRegistry{ServiceAccount: puller, TokenLifetime: "2h"}, reason: v1alpha1.ReasonInvalidRequest, says: []string{"(INVALID_ARGUMENT)", extended},
		},
		"lifetime of nobody": {
			spec: v1alpha1.ArtifactRegistry{TokenLifetime: "2h"}, reason: v1alpha1.ReasonInvalidRequest,
			says: []string{"tokenLifetime is that of an impersonated service account", "set artifactRegistry.serviceAccount, or remove tokenLifetime"},
		},
		"lifetime that nobody can have": {
			spec: v1alpha1.ArtifactRegistry{ServiceAccount: puller, TokenLifetime: "13h"}, reason: v1alpha1.ReasonInvalidRequest, says: []string{"from 10m to 12h"},
		},
		"annotation that is no email": {
			identity: serviceAccount(map[string]string{"iam.gke.io/gcp-service-account": "x@y.gserviceaccount.com/../../evil"}, new([]string)),
			reason:   v1alpha1.ReasonIdentityInvalid, says: []string{"the annotation iam.gke.io/gcp-service-account of ServiceAccount team-a/puller"},
		},
		"service account that is no email": {
			spec: v1alpha1.ArtifactRegistry{ServiceAccount: "evil.example/x"}, reason: v1alpha1.ReasonInvalidRequest, says: []string{"not the email"},
		},
		"provider that is no name": {
			spec:     v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: "projects/1/../../evil"},
			identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonInvalidRequest, says: []string{"workloadIdentityProvider is not"},
		},
		"cluster that is no name": {
			spec:     v1alpha1.ArtifactRegistry{GKECluster: "projects/evil.example:443/x"},
			identity: serviceAccount(nil, new([]string)), reason: v1alpha1.ReasonInvalidRequest, says: []string{"gkeCluster is not"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			if c.setUp != nil {
				google.AddIdentityProvider(pool)
				c.setUp(google)
			}
			_, err := token(t, google, request(c.spec, c.identity))
			wantFailure(t, err, c.reason, c.says...)
		})
	}
}

// Each service that a token goes through is broken once, in each way.
func TestFailuresOfEachServiceAreExplained(t *testing.T) {
	services := map[string]struct {
		faults func(*cloud.Google) *cloud.Faults
		action string
		spec   v1alpha1.ArtifactRegistry
		id     func(t *testing.T, google *cloud.Google) providers.Identity
		says   string
	}{
		"STS": {
			func(g *cloud.Google) *cloud.Faults { return g.STS }, cloud.ActionGoogleExchange, v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name},
			func(*testing.T, *cloud.Google) providers.Identity { return serviceAccount(nil, new([]string)) }, "the exchange of its token in",
		},
		"OAuth 2.0": {
			func(g *cloud.Google) *cloud.Faults { return g.OAuth2 }, cloud.ActionGoogleJWTGrant, v1alpha1.ArtifactRegistry{},
			func(t *testing.T, google *cloud.Google) providers.Identity {
				t.Helper()
				google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller})
				return secret(map[string]string{"credentials.json": newKey(t, google, puller)})
			}, "the key in Secret team-a/keys",
		},
		"IAM Credentials": {
			func(g *cloud.Google) *cloud.Faults { return g.IAMCredentials }, cloud.ActionGenerateAccessToken, v1alpha1.ArtifactRegistry{ServiceAccount: puller},
			func(*testing.T, *cloud.Google) providers.Identity { return providers.Identity{} }, "generateAccessToken of " + puller,
		},
	}
	faults := map[string]struct {
		fault  cloud.Fault
		reason string
		says   string
		after  time.Duration
	}{
		"throttled":    {cloud.Fault{Throttle: -1, RetryAfter: 7 * time.Second}, v1alpha1.ReasonThrottled, "(RESOURCE_EXHAUSTED)", 7 * time.Second},
		"server error": {cloud.Fault{Outage: cloud.OutageServerError}, v1alpha1.ReasonUnavailable, "HTTP status 503", 0},
		"closed":       {cloud.Fault{Outage: cloud.OutageClosed}, v1alpha1.ReasonUnavailable, "the connection failed; check the proxy", 0},
	}
	for service, s := range services {
		for fault, f := range faults {
			t.Run(service+" "+fault, func(t *testing.T) {
				google := startGoogle(t)
				google.AddIdentityProvider(pool)
				id := s.id(t, google)
				s.faults(google).Set(f.fault)
				_, err := token(t, google, request(s.spec, id))
				wantFailure(t, err, f.reason, s.says, f.says)
				if failure, _ := errors.AsType[*providers.Error](err); failure.RetryAfter != f.after || failure.Terminal {
					t.Errorf("retry after %s (terminal: %t), want %s", failure.RetryAfter, failure.Terminal, f.after)
				}
				if calls := google.Calls().Of(s.action); calls != 1 {
					t.Errorf("%d calls; repetition is the Broker's part", calls)
				}
			})
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

func TestOddAnswersAreExplained(t *testing.T) {
	secretBody := cloud.CanaryGoogle + "body"
	for name, c := range map[string]struct {
		status       int
		header, body string
		reason       string
		says         string
	}{
		"redirect":                     {http.StatusTemporaryRedirect, "https://evil.example/", "", v1alpha1.ReasonInvalidResponse, "HTTP status 307"},
		"proxy's own refusal":          {http.StatusForbidden, "", "<html>" + secretBody, v1alpha1.ReasonAccessDenied, "check any proxy"},
		"code that nobody knows":       {http.StatusBadRequest, "", `{"error":"` + secretBody + `"}`, v1alpha1.ReasonInvalidResponse, "HTTP status 400"},
		"status that nobody knows":     {http.StatusBadRequest, "", `{"error":{"status":"` + secretBody + `"}}`, v1alpha1.ReasonInvalidResponse, "HTTP status 400"},
		"known code with a secret":     {http.StatusBadRequest, "", `{"error":"invalid_grant","error_description":"` + secretBody + `"}`, v1alpha1.ReasonAccessDenied, "(invalid_grant)"},
		"nothing":                      {http.StatusOK, "", "", v1alpha1.ReasonInvalidResponse, "cannot be parsed"},
		"no token":                     {http.StatusOK, "", `{"expires_in":3599}`, v1alpha1.ReasonInvalidResponse, "without a token"},
		"no expiry":                    {http.StatusOK, "", `{"access_token":"` + secretBody + `"}`, v1alpha1.ReasonInvalidResponse, "cannot be parsed"},
		"an answer that does not stop": {http.StatusOK, "", strings.Repeat("x", 2<<20), v1alpha1.ReasonInvalidResponse, "cannot be parsed"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			p := newProvider(t, clock.RealClock{}, roundTripper(func(r *http.Request) (*http.Response, error) {
				asked++
				header := http.Header{}
				if c.header != "" {
					header.Set("Location", c.header)
				}
				return &http.Response{StatusCode: c.status, Header: header, Body: io.NopCloser(strings.NewReader(c.body)), Request: r}, nil
			}))
			_, err := p.Token(t.Context(), request(v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name}, serviceAccount(nil, new([]string))))
			wantFailure(t, err, c.reason, c.says)
			if asked != 1 {
				t.Errorf("%d requests were made", asked)
			}
		})
	}
}

// An API that accepts and never answers costs the token some seconds, and not its publication.
func TestAHungPermissionCheckHoldsNoTokenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(t, clock.RealClock{}, roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "artifactregistry.googleapis.com" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(`{"access_token":"x","token_type":"Bearer","expires_in":3600}`))}, nil
		}))
		req := request(v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name, Project: "my-project", Repositories: []string{"apps", "tools"}},
			serviceAccount(nil, new([]string)))
		begin := time.Now()
		if got, err := p.Token(t.Context(), req); err != nil || len(got.Logins) == 0 {
			t.Errorf("no token: %v", err)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("the check took %s of the 30s of a call", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := p.Token(ctx, req)
		wantFailure(t, err, v1alpha1.ReasonUnavailable, "testIamPermissions on "+apps, "timed out")
	})
}

// The SDK's own logger writes requests with everything in them, once a variable of the environment is set.
func TestTheSDKDoesNotLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	standard := os.Stderr
	os.Stderr = file
	t.Cleanup(func() {
		os.Stderr = standard
		_ = file.Close()
	})
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	google := startGoogle(t)
	google.AddIdentityProvider(pool)
	google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{
		pool.Member(subject), cloud.GoogleMember(puller), cloud.GoogleMember(cloud.GoogleAmbientAccount)}})
	google.SetPull(cloud.GoogleMember(puller), "*")
	spec := v1alpha1.ArtifactRegistry{WorkloadIdentityProvider: pool.Name, ServiceAccount: puller, Project: "my-project", Repositories: []string{"apps"}}
	mustToken(t, google, request(spec, serviceAccount(nil, new([]string))))
	mustToken(t, google, request(spec, secret(map[string]string{"credentials.json": newKey(t, google, puller)})))
	mustToken(t, google, request(spec, providers.Identity{}))
	credentialFile(t, newKey(t, google, puller))
	mustToken(t, google, request(spec, providers.Identity{}))
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(written) > 0 {
		t.Errorf("%d bytes were logged, a secret among them: %t", len(written), cloud.ContainsCanary(written))
	}
}
