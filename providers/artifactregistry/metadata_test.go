package artifactregistry_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactregistry"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/test/cloud"
)

// closed is a channel that is closed when there is news.
type closed chan struct{}

func (c closed) Wake() { close(c) }

// brokered asks the Broker until its call has ended.
func brokered(t *testing.T, b *broker.Broker, req providers.Request, newerThan time.Time) (providers.Token, error) {
	t.Helper()
	for {
		done := make(closed)
		token, err := b.Token(req, newerThan, done)
		if _, pending := errors.AsType[*providers.PendingError](err); !pending {
			return token, err
		}
		<-done
	}
}

// The metadata server repeats a token until minutes before its end. Nobody asks it in vain, and nothing is published that is worse than
// what there is.
func TestTheMetadataServersTokenIsRefreshedWhenThereIsANewOne(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC))
	google := startGoogleAt(t, now.Now)
	tokens := broker.New(t.Context(), broker.Options{Clock: now,
		Providers: map[string]providers.Provider{artifactregistry.Name: newProvider(t, now, google.Transport())}})
	req := request(v1alpha1.ArtifactRegistry{}, providers.Identity{})
	tokens.SetSources(providers.Owner{Name: "a"}, []string{req.Source()})

	first, err := brokered(t, tokens, req, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	begin := now.Now()
	if life := first.ExpiresAt.Sub(begin); life != time.Hour {
		t.Errorf("the token lives for %s, want 1h", life)
	}
	if due := first.RenewableAt.Sub(begin); due != time.Hour-225*time.Second {
		t.Errorf("the token is due after %s, want 3m45s before its end", due)
	}
	// What would happen at half of its life, and why it must not: this is what a loop would be made of.
	now.SetTime(begin.Add(30 * time.Minute))
	if _, err := brokered(t, tokens, req, first.IssuedAt); reason(err) != v1alpha1.ReasonNotRenewed {
		t.Errorf("at half of its life another token was to be had: %v", err)
	}

	google.ResetCalls()
	now.SetTime(first.RenewableAt)
	second, err := brokered(t, tokens, req, first.IssuedAt)
	if err != nil {
		t.Fatalf("when the token was due, no other was to be had: %v", err)
	}
	if !second.ExpiresAt.After(first.ExpiresAt) || google.Calls().Of(cloud.ActionMetadataToken) != 1 {
		t.Errorf("expires %s after the first, %d calls", second.ExpiresAt.Sub(first.ExpiresAt), google.Calls().Of(cloud.ActionMetadataToken))
	}
	if !google.IsLive(first.Logins[0].Password.Reveal()) {
		t.Error("the token was dead when it was due")
	}
}

// A controller that starts late in the life of the node's token gets what is left of it.
func TestAnOldTokenOfTheMetadataServerIsDueWhenThereIsANewOne(t *testing.T) {
	for left, due := range map[time.Duration]time.Duration{
		10 * time.Minute:              10*time.Minute - 225*time.Second,
		4*time.Minute + 2*time.Second: 4*time.Minute + 2*time.Second - 225*time.Second,
	} {
		now := clocktesting.NewFakePassiveClock(time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC))
		google := startGoogleAt(t, now.Now)
		p := newProvider(t, now, google.Transport())
		req := request(v1alpha1.ArtifactRegistry{}, providers.Identity{})
		if _, err := p.Token(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		now.SetTime(now.Now().Add(time.Hour - left))
		late, err := p.Token(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if minted := len(google.Tokens()); minted != 1 {
			t.Fatalf("the metadata server has minted %d tokens", minted)
		}
		late.IssuedAt = now.Now()
		if life, at := late.ExpiresAt.Sub(now.Now()), late.RenewableAt.Sub(now.Now()); life != left || at != due {
			t.Errorf("with %s left: lives for %s and is due after %s, want %s", left, life, at, due)
		}
	}
}

func TestTheMetadataServersFailuresAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		fault  cloud.Fault
		reason string
		says   string
		after  time.Duration
	}{
		"throttled":    {cloud.Fault{Throttle: -1, RetryAfter: 9 * time.Second}, v1alpha1.ReasonThrottled, "HTTP status 429", 9 * time.Second},
		"server error": {cloud.Fault{Outage: cloud.OutageServerError}, v1alpha1.ReasonUnavailable, "HTTP status 503", 0},
		"closed":       {cloud.Fault{Outage: cloud.OutageClosed}, v1alpha1.ReasonUnavailable, "connection failed", 0},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.Metadata.Set(c.fault)
			_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
			wantFailure(t, err, c.reason, "metadata server", c.says)
			if failure, _ := errors.AsType[*providers.Error](err); failure.RetryAfter != c.after {
				t.Errorf("retry after %s, want %s", failure.RetryAfter, c.after)
			}
			if calls := google.Calls().Of(cloud.ActionMetadataToken); calls != 1 {
				t.Errorf("%d calls; repetition is the Broker's part", calls)
			}
		})
	}
}

func TestAClusterThatIsNotKnownIsAskedFor(t *testing.T) {
	google := startGoogle(t)
	google.SetNodeCluster("")
	_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, serviceAccount(nil, new([]string))))
	wantFailure(t, err, v1alpha1.ReasonInvalidRequest, "set artifactRegistry.workloadIdentityProvider, gkeCluster or fleetMembership")
	google.SetNodeCluster(cloud.GoogleClusterName)
	google.Metadata.Set(cloud.Fault{Outage: cloud.OutageServerError})
	_, err = token(t, google, request(v1alpha1.ArtifactRegistry{}, serviceAccount(nil, new([]string))))
	wantFailure(t, err, v1alpha1.ReasonUnavailable, "metadata server")
}

// credentialFile writes the file that GOOGLE_APPLICATION_CREDENTIALS names.
func credentialFile(t *testing.T, content string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
}

func TestTheControllersOwnFileGoesBeforeTheMetadataServer(t *testing.T) {
	subjectFile := filepath.Join(t.TempDir(), "token")
	content, err := cloud.WebIdentityToken(issuer, subject, "https://iam.googleapis.com/"+pool.Name, time.Now().Add(2*time.Hour))
	if err == nil {
		err = os.WriteFile(subjectFile, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	external := `{"type":"external_account","audience":"//iam.googleapis.com/` + pool.Name + `","subject_token_type":"urn:ietf:params:oauth:token-type:jwt",` +
		`"token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":"` + subjectFile + `"}IMPERSONATE}`
	for name, c := range map[string]struct {
		file   func(t *testing.T, google *cloud.Google) string
		member string
	}{
		"service account key": {func(t *testing.T, google *cloud.Google) string {
			t.Helper()
			return newKey(t, google, puller)
		}, cloud.GoogleMember(puller)},
		"external account": {func(*testing.T, *cloud.Google) string {
			return strings.ReplaceAll(external, "IMPERSONATE", "")
		}, pool.Member(subject)},
		"external account that impersonates": {func(*testing.T, *cloud.Google) string {
			return strings.ReplaceAll(external, "IMPERSONATE",
				`,"service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/`+puller+`:generateAccessToken"`)
		}, cloud.GoogleMember(puller)},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{pool.Member(subject)}})
			credentialFile(t, c.file(t, google))
			p := newProvider(t, clock.RealClock{}, google.Transport())
			for range 2 {
				got, err := p.Token(t.Context(), request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
				if err != nil {
					t.Fatal(err)
				}
				if life := time.Until(got.ExpiresAt); life < 59*time.Minute || life > time.Hour || !got.RenewableAt.IsZero() || lastMember(google) != c.member {
					t.Errorf("a token of %s for %s, renewable at %s", lastMember(google), life, got.RenewableAt)
				}
			}
			first := google.Tokens()
			if len(first) < 2 || google.Calls().Of(cloud.ActionMetadataToken) > 0 {
				t.Errorf("%d tokens were minted for two requests, with %d calls of the metadata server", len(first), google.Calls().Of(cloud.ActionMetadataToken))
			}
		})
	}
}

func TestTheExpiryOfAnImpersonatingFileIsCorrectedForTheClock(t *testing.T) {
	google := startGoogle(t)
	google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{cloud.GoogleMember("ci@my-project.iam.gserviceaccount.com")}})
	google.AddServiceAccount(cloud.GoogleServiceAccount{Email: "ci@my-project.iam.gserviceaccount.com"})
	credentialFile(t, `{"type":"impersonated_service_account","source_credentials":`+newKey(t, google, "ci@my-project.iam.gserviceaccount.com")+
		`,"service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/`+puller+`:generateAccessToken"}`)
	google.SetClockOffset(20 * time.Minute)
	got := mustToken(t, google, request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
	if life := time.Until(got.ExpiresAt); life < 59*time.Minute || life > 61*time.Minute {
		t.Errorf("with Google's clock 20m ahead, a token of 1h is said to live for %s", life)
	}
}

func TestBadFilesOfTheControllerAreExplained(t *testing.T) {
	google := startGoogle(t)
	for content, says := range map[string]string{
		"":                            "cannot be read",
		"{}":                          "cannot be read",
		`{"type":"service_account"}`:  "cannot be read",
		`{"type":"external_account"}`: "cannot be read",
		`{"type":"external_account","audience":"a","subject_token_type":"b","credential_source":{"file":"/nowhere"}}`:                   "cannot be used",
		`{"type":"service_account","client_email":"a@b.iam.gserviceaccount.com","private_key":"` + cloud.CanaryGoogle + `private-key"}`: "cannot be used",
	} {
		credentialFile(t, content)
		_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
		wantFailure(t, err, v1alpha1.ReasonIdentityInvalid, "GOOGLE_APPLICATION_CREDENTIALS", says)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
	_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
	wantFailure(t, err, v1alpha1.ReasonIdentityInvalid, "cannot be read")
}

func TestAControllerWithoutAnIdentityIsToldSo(t *testing.T) {
	google := startGoogle(t)
	t.Setenv("GCE_METADATA_HOST", "")
	_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, providers.Identity{}))
	wantFailure(t, err, v1alpha1.ReasonIdentityNotFound, "give it one")
	_, err = token(t, google, request(v1alpha1.ArtifactRegistry{}, serviceAccount(nil, new([]string))))
	wantFailure(t, err, v1alpha1.ReasonInvalidRequest, "does not run on GKE")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, id := range []providers.Identity{{}, serviceAccount(nil, new([]string))} {
		_, err = newProvider(t, clock.RealClock{}, google.Transport()).Token(ended, request(v1alpha1.ArtifactRegistry{}, id))
		wantFailure(t, err, v1alpha1.ReasonUnavailable, "metadata server")
	}
}
