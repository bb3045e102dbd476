package artifactory_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/test/cloud"
)

// wire is what arrives at JFrog.
type wire struct {
	Method, Path, Authorization string
	Body                        map[string]any
}

// What JFrog's reference lets out may mean something else in another version, so everything that matters is said.
func TestRequestsSayEverything(t *testing.T) {
	const lent = "an-administrators-token"
	for name, c := range map[string]struct {
		spec     v1alpha1.Artifactory
		identity providers.Identity
		want     wire
	}{
		"exchange": {
			v1alpha1.Artifactory{ProviderName: "cluster"}, serviceAccount(t, nil),
			wire{"POST", "/access/api/v1/oidc/token", "", map[string]any{
				"grant_type":         "urn:ietf:params:oauth:grant-type:token-exchange",
				"subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
				"provider_name":      "cluster",
			}},
		},
		"exchange with everything": {
			v1alpha1.Artifactory{ProviderName: "cluster", IdentityMappingName: "team-a", ProjectKey: "web"}, serviceAccount(t, nil),
			wire{"POST", "/access/api/v1/oidc/token", "", map[string]any{
				"grant_type":            "urn:ietf:params:oauth:grant-type:token-exchange",
				"subject_token_type":    "urn:ietf:params:oauth:token-type:id_token",
				"provider_name":         "cluster",
				"identity_mapping_name": "team-a",
				"project_key":           "web",
			}},
		},
		"creation": {
			v1alpha1.Artifactory{}, secret(new(lent)),
			wire{"POST", "/access/api/v1/tokens", "Bearer " + lent, map[string]any{
				"scope": "applied-permissions/user", "expires_in": 21600.0, "refreshable": false,
				"description": "regcred: image pulls, created with Secret team-a/jfrog",
			}},
		},
		"creation with everything": {
			v1alpha1.Artifactory{Username: "puller", Scope: "applied-permissions/groups:readers", TokenLifetime: "1h30m", ProjectKey: "web"}, secret(new(lent)),
			wire{"POST", "/access/api/v1/tokens", "Bearer " + lent, map[string]any{
				"username": "puller", "scope": "applied-permissions/groups:readers", "expires_in": 5400.0, "refreshable": false, "project_key": "web",
				"description": "regcred: image pulls, created with Secret team-a/jfrog",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			var got wire
			jfrog.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = wire{Method: r.Method, Path: r.URL.RequestURI(), Authorization: r.Header.Get("Authorization")}
				_ = json.NewDecoder(r.Body).Decode(&got.Body)
				w.WriteHeader(http.StatusInternalServerError)
			}))
			c.spec.URL = jfrog.URL()
			_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(c.spec, c.identity))
			wantError(t, err, v1alpha1.ReasonUnavailable)
			if c.identity.ServiceAccount != nil {
				if token, _ := got.Body["subject_token"].(string); token == "" {
					t.Error("no token of the ServiceAccount was sent")
				}
				delete(got.Body, "subject_token")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The life counts from when the token was asked for, not from when the answer came.
func TestASlowAnswerDoesNotLengthenTheLife(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	c := &steppedClock{now: time.Date(2031, time.May, 4, 10, 0, 0, 0, time.UTC)}
	want := c.now.Add(time.Minute)
	jfrog.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.now = c.now.Add(20 * time.Second)
		answer(http.StatusOK, "application/json", `{"access_token":"x","expires_in":60,"username":"u"}`).ServeHTTP(w, r)
	}))
	p, err := artifactory.New(c, artifactory.Options{Transport: jfrog.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Token(t.Context(),
		request(v1alpha1.Artifactory{URL: jfrog.URL(), ProviderName: "cluster"}, serviceAccount(t, nil)))
	if err != nil || !token.ExpiresAt.Equal(want) {
		t.Errorf("expires at %s, %v; want %s", token.ExpiresAt, err, want)
	}
}

// steppedClock is read before and after a call only, and stepped during it.
type steppedClock struct{ now time.Time }

func (c *steppedClock) Now() time.Time                  { return c.now }
func (c *steppedClock) Since(t time.Time) time.Duration { return c.now.Sub(t) }
