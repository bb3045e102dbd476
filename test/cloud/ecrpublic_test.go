package cloud

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-cmp/cmp"
)

const publicImage = "public.ecr.aws/team/app:v1"

func getPublicToken(ctx context.Context, cfg aws.Config) (minted, error) {
	out, err := ecrpublic.NewFromConfig(inRegion(cfg, "us-east-1")).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return minted{}, err
	}
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData.AuthorizationToken))
	username, password, _ := strings.Cut(string(decoded), ":")
	return minted{username: username, password: password, expiresAt: aws.ToTime(out.AuthorizationData.ExpiresAt)}, err
}

func mustGetPublicToken(t *testing.T, cfg aws.Config) minted {
	t.Helper()
	token, err := getPublicToken(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestGetPublicAuthorizationToken(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now})
	token := mustGetPublicToken(t, sdkConfig(t, a, 1))
	if token.username != "AWS" || !strings.HasPrefix(token.password, CanaryECRPublic) {
		t.Errorf("username %q, canary: %t", token.username, strings.HasPrefix(token.password, CanaryECRPublic))
	}
	expires := clock.Now().Add(12 * time.Hour).Truncate(time.Millisecond)
	want := []Token{{Principal: a.Ambient().ARN(), Region: "us-east-1", IssuedAt: clock.Now(), ExpiresAt: expires}}
	if diff := cmp.Diff(want, a.ECRPublicTokens()); diff != "" || !token.expiresAt.Equal(expires) {
		t.Errorf("expires at %v; recorded (-want +got):\n%s", token.expiresAt, diff)
	}
	wantCount(t, "calls", a.Calls().Succeeded(ActionGetPublicAuthorizationToken), 1)
	wantCount(t, "tokens of private registries", len(a.Tokens()), 0)
}

func TestGetPublicAuthorizationTokenErrors(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 1)
	user := func(name string, may ECRPublicPermissions) aws.Config {
		u := User{Account: DefaultAccount, Name: name, AccessKeyID: "AKIA" + name, SecretAccessKey: "secret", MayGetToken: true, Public: may}
		a.AddUser(u)
		return withKey(cfg.Copy(), u)
	}
	for name, c := range map[string]struct {
		cfg     aws.Config
		message string
	}{
		"no token":        {user("NOTOKEN", ECRPublicPermissions{MayGetServiceBearerToken: true}), "perform: ecr-public:GetAuthorizationToken"},
		"no bearer token": {user("NOBEARER", ECRPublicPermissions{MayGetToken: true}), "perform: sts:GetServiceBearerToken"},
	} {
		_, err := getPublicToken(t.Context(), c.cfg)
		if errorCode(err) != "AccessDeniedException" || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
	elsewhere := ecrpublic.NewFromConfig(inRegion(cfg, "eu-west-1"))
	_, err := elsewhere.GetAuthorizationToken(t.Context(), &ecrpublic.GetAuthorizationTokenInput{})
	wantError(t, err, "InvalidSignatureException", "valid region")
	_, err = ecrpublic.NewFromConfig(inRegion(cfg, "us-east-1")).DescribeRegistries(t.Context(), &ecrpublic.DescribeRegistriesInput{})
	wantError(t, err, "UnknownOperationException", "")
	wantCount(t, "tokens issued by failed calls", len(a.ECRPublicTokens()), 0)
	if err := a.SetECRPublicPermissions("arn:aws:iam::123456789012:user/nobody", ECRPublicPermissions{}); err == nil {
		t.Error("permissions for a user who does not exist: no error")
	}
}

func TestPullsFromThePublicRegistry(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now})
	cfg := sdkConfig(t, a, 1)
	want := seed(t, a, "ecr-public.aws.com", "team/app", "v1")
	old := mustGetPublicToken(t, cfg)
	clock.Step(12 * time.Hour)
	token, private := mustGetPublicToken(t, cfg), mustGetToken(t, cfg)

	for _, host := range []string{"public.ecr.aws", "ecr-public.aws.com"} {
		got, err := Pull(t.Context(), a.Transport(), dockerConfig(t, host, token.username, token.password), host+"/team/app:v1")
		if err != nil || got != want {
			t.Errorf("pulled %s from %s, want %s: %v", got, host, want, err)
		}
	}
	for name, c := range map[string]struct {
		config []byte
		status int
	}{
		"anonymous":              {[]byte(`{"auths":{}}`), http.StatusUnauthorized},
		"unknown":                {dockerConfig(t, ecrPublicHost, "AWS", "guess"), http.StatusUnauthorized},
		"wrong username":         {dockerConfig(t, ecrPublicHost, "aws", token.password), http.StatusUnauthorized},
		"expired":                {dockerConfig(t, ecrPublicHost, old.username, old.password), http.StatusForbidden},
		"of private registries":  {dockerConfig(t, ecrPublicHost, private.username, private.password), http.StatusUnauthorized},
		"public one, in private": {dockerConfig(t, host, token.username, token.password), http.StatusUnauthorized},
	} {
		image := publicImage
		if strings.Contains(name, "in private") {
			image = host + "/team/app:v1"
		}
		_, err := Pull(t.Context(), a.Transport(), c.config, image)
		t.Run(name, func(t *testing.T) { wantRefusal(t, err, c.status, "") })
	}
}

func TestThePublicRegistrysChallenge(t *testing.T) {
	a := startAWS(t, Options{})
	client := &http.Client{Transport: a.Transport()}
	res, err := client.Get("https://public.ecr.aws/v2/") //nolint:noctx // the server is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	const want = `Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"`
	if got := res.Header.Get("WWW-Authenticate"); got != want || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, %s, want %s", res.StatusCode, got, want)
	}
}
