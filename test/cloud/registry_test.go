package cloud

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func seed(t *testing.T, a *AWS, host, repository, tag string) string {
	t.Helper()
	digest, err := a.SeedImage(host, repository, tag)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// wantRefusal compares the status and the message of a registry's answer.
func wantRefusal(t *testing.T, err error, status int, message string) {
	t.Helper()
	refusal, ok := errors.AsType[*transport.Error](err)
	if !ok {
		t.Fatalf("error %v, want status %d", err, status)
	}
	if refusal.StatusCode != status || !strings.Contains(refusal.Error(), message) {
		t.Errorf("status %d: %v, want %d and %q in it", refusal.StatusCode, refusal, status, message)
	}
}

func TestPullSeededImage(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	want := seed(t, a, host, "team/app", "v1")

	got, err := Pull(t.Context(), a.Transport(), dockerConfig(t, host, token.username, token.password), host+"/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	calls := a.Calls()
	wantCount(t, "pulls accepted", calls.PullsAccepted(), 1)
	wantCount(t, "pulls refused", calls.PullsRefused(), 0)
	wantCount(t, "blobs", calls.Succeeded(ActionGetBlob), 2)
}

func TestTagsKeepTheirRepositoryName(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	seed(t, a, host, "team/app", "v1")
	seed(t, a, host, "team/app", "v2")
	repository, err := name.NewRepository(host + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(repository, remote.WithTransport(a.Transport()),
		remote.WithAuth(&authn.Basic{Username: token.username, Password: token.password}))
	if got := fmt.Sprint(tags); err != nil || got != "[v1 v2]" {
		t.Errorf("tags %s, %v", got, err)
	}
}

func TestRefusedPulls(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now})
	cfg := sdkConfig(t, a, 1)
	narrow := User{
		Account: DefaultAccount, Name: "narrow", AccessKeyID: "AKIANARROW", SecretAccessKey: "secret",
		MayGetToken: true, Pull: []string{"123456789012/other/*"},
	}
	a.AddUser(narrow)
	seed(t, a, host, "team/app", "v1")

	old := mustGetToken(t, cfg)
	clock.Step(12 * time.Hour)
	good := mustGetToken(t, cfg)
	revoked := mustGetToken(t, cfg)
	if !a.Revoke(revoked.password) || a.Revoke("never issued") {
		t.Error("Revoke does not know which tokens were issued")
	}
	for name, test := range map[string]struct {
		username, password string
		status             int
		message            string
	}{
		"accepted":       {"AWS", good.password, 0, ""},
		"anonymous":      {"", "", http.StatusUnauthorized, "Not Authorized"},
		"unknown token":  {"AWS", "guess", http.StatusUnauthorized, "Not Authorized"},
		"wrong username": {"aws", good.password, http.StatusUnauthorized, "Not Authorized"},
		"expired": {
			"AWS", old.password, http.StatusForbidden,
			"DENIED: Your authorization token has expired. Reauthenticate and try again.",
		},
		"revoked": {"AWS", revoked.password, http.StatusForbidden, "Your authorization token has expired."},
		"other region": {
			"AWS", mustGetToken(t, inRegion(cfg, "us-east-1")).password, http.StatusBadRequest, "Your Authorization Token is invalid.",
		},
		"not permitted": {
			"AWS", mustGetToken(t, withKey(cfg, narrow)).password, http.StatusForbidden,
			"DENIED: User: arn:aws:iam::123456789012:user/narrow is not authorized to perform: ecr:BatchGetImage on resource: " +
				"arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.ResetCalls()
			config := dockerConfig(t, host, test.username, test.password)
			if test.username == "" {
				config = []byte(`{"auths":{}}`)
			}
			_, err := Pull(t.Context(), a.Transport(), config, host+"/team/app:v1")
			if test.status == 0 && err == nil {
				return
			}
			wantRefusal(t, err, test.status, test.message)
			if ContainsCanary([]byte(err.Error())) {
				t.Error("the error quotes the token")
			}
			wantCount(t, "pulls refused", a.Calls().PullsRefused(), 1)
			wantCount(t, "pulls accepted", a.Calls().PullsAccepted(), 0)
		})
	}
}

func TestExpireAll(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 1)
	token := mustGetToken(t, cfg)
	a.ExpireAll()
	wantCount(t, "live tokens", a.LiveTokens(), 0)
	seed(t, a, host, "app", "v1")
	_, err := Pull(t.Context(), a.Transport(), dockerConfig(t, host, "AWS", token.password), host+"/app:v1")
	wantRefusal(t, err, http.StatusForbidden, "expired")
	mustGetToken(t, cfg)
	wantCount(t, "live tokens after another", a.LiveTokens(), 1)
}

func TestPermissionsCountAtThePull(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	seed(t, a, host, "app", "v1")
	config := dockerConfig(t, host, "AWS", token.password)
	if err := a.SetPermissions(a.Ambient().ARN(), true, DefaultAccount+"/base"); err != nil {
		t.Fatal(err)
	}
	_, err := Pull(t.Context(), a.Transport(), config, host+"/app:v1")
	wantRefusal(t, err, http.StatusForbidden, "ecr:BatchGetImage")
	if err := a.SetPermissions(a.Ambient().ARN(), true, DefaultAccount+"/app"); err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), a.Transport(), config, host+"/app:v1"); err != nil {
		t.Error(err)
	}
}

func TestAccountsAndRegionsAreSeparate(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 1)
	token := mustGetToken(t, cfg)
	otherAccount := ECRHost("210987654321", region)
	here, there := seed(t, a, host, "app", "v1"), seed(t, a, otherAccount, "app", "v1")
	if here == there {
		t.Fatal("both images have the same digest")
	}
	for host, want := range map[string]string{host: here, otherAccount: there} {
		got, err := Pull(t.Context(), a.Transport(), dockerConfig(t, host, "AWS", token.password), host+"/app:v1")
		if err != nil || got != want {
			t.Errorf("%s: pulled %s, %v, want %s", host, got, err, want)
		}
	}
	virginia := ECRHost(DefaultAccount, "us-east-1")
	password := mustGetToken(t, inRegion(cfg, "us-east-1")).password
	_, err := Pull(t.Context(), a.Transport(), dockerConfig(t, virginia, "AWS", password), virginia+"/app:v1")
	wantRefusal(t, err, http.StatusNotFound, "UNKNOWN")

	if _, err := a.SeedImage("registry.example", "app", "v1"); err == nil {
		t.Error("seeded an image in a registry of another cloud")
	}
}

func TestPushIsRefused(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	ref, err := name.NewTag(host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := crane.Image(map[string][]byte{"file": []byte("content")})
	if err != nil {
		t.Fatal(err)
	}
	err = remote.Write(ref, image, remote.WithTransport(a.Transport()),
		remote.WithAuth(&authn.Basic{Username: token.username, Password: token.password}))
	wantRefusal(t, err, http.StatusForbidden, "ecr:InitiateLayerUpload")
	if a.Calls().WithCode(ActionPush, "DENIED") == 0 {
		t.Error("no push was counted")
	}
}

func TestChallenge(t *testing.T) {
	a := startAWS(t, Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	want := `Basic realm="https://` + host + `/",service="ecr.amazonaws.com"`
	if err != nil || resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != want ||
		strings.TrimSpace(string(body)) != "Not Authorized" {
		t.Errorf("status %d, challenge %q, body %q, %v", resp.StatusCode, resp.Header.Get("WWW-Authenticate"), body, err)
	}
}

func TestTransportKnowsOnlyTheEmulatedCloud(t *testing.T) {
	a := startAWS(t, Options{})
	_, err := Pull(t.Context(), a.Transport(), []byte(`{}`), "registry.example/app:v1")
	if err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("error %v, want a refusal to dial", err)
	}
}

func TestPullsShareTheirConnections(t *testing.T) {
	a := startAWS(t, Options{})
	one, another := a.Transport(), a.Transport()
	if one != another {
		t.Error("each pull has a transport, and so a connection, of its own")
	}
}
