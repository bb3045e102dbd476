package cloud

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
)

func TestGetAuthorizationToken(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now})
	cfg := sdkConfig(t, a, 1)

	token := mustGetToken(t, cfg)
	if token.username != "AWS" || !strings.HasPrefix(token.password, Canary) || len(token.password) < 1800 {
		t.Errorf("username %q, password of %d bytes, canary: %t",
			token.username, len(token.password), strings.HasPrefix(token.password, Canary))
	}
	if want := clock.Now().Add(12 * time.Hour).Truncate(time.Millisecond); !token.expiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", token.expiresAt, want)
	}
	if want := "https://" + host; token.proxyEndpoint != want {
		t.Errorf("proxy endpoint %q, want %q", token.proxyEndpoint, want)
	}
	want := Token{Principal: a.Ambient().ARN(), Region: region, IssuedAt: clock.Now(), ExpiresAt: token.expiresAt}
	if got := a.Tokens(); len(got) != 1 || got[0].Principal != want.Principal || got[0].Region != want.Region ||
		!got[0].IssuedAt.Equal(want.IssuedAt) || !got[0].ExpiresAt.Equal(want.ExpiresAt) {
		t.Errorf("recorded %+v, want only %+v", got, want)
	}

	china := mustGetToken(t, inRegion(cfg, "cn-north-1"))
	if want := "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"; china.proxyEndpoint != want {
		t.Errorf("proxy endpoint %q, want %q", china.proxyEndpoint, want)
	}
	if china.password == token.password {
		t.Error("the same password twice")
	}
	wantCount(t, "calls", a.Calls().Succeeded(ActionGetAuthorizationToken), 2)
	a.ResetCalls()
	wantCount(t, "calls after a reset", a.Calls().Of(ActionGetAuthorizationToken), 0)
}

func TestTokenLife(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now, TokenLife: time.Hour})
	cfg := sdkConfig(t, a, 1)
	hour := mustGetToken(t, cfg)
	a.SetTokenLife(2 * time.Hour)
	twoHours := mustGetToken(t, cfg)

	wantCount(t, "live tokens at first", a.LiveTokens(), 2)
	clock.Step(time.Hour)
	if a.IsLive(hour.password) || !a.IsLive(twoHours.password) {
		t.Error("after an hour, want the token of two hours alive and no other")
	}
	wantCount(t, "live tokens after an hour", a.LiveTokens(), 1)
}

// A user's own life of tokens is that of no other's, and outlasts a change of rights.
func TestTokenLifeOfAUser(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now, TokenLife: time.Minute})
	slow := User{Account: DefaultAccount, Name: "slow", AccessKeyID: "AKIASLOW", SecretAccessKey: "secret", MayGetToken: true, TokenLife: time.Hour}
	a.AddUser(slow)
	if err := a.SetPermissions(slow.ARN(), true); err != nil {
		t.Fatal(err)
	}
	cfg := sdkConfig(t, a, 1)
	usual := mustGetToken(t, cfg)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(slow.AccessKeyID, slow.SecretAccessKey, "")
	long := mustGetToken(t, cfg)
	clock.Step(time.Minute)
	if a.IsLive(usual.password) || !a.IsLive(long.password) {
		t.Error("after a minute, want the token of an hour alive and no other")
	}
}

func TestGetAuthorizationTokenErrors(t *testing.T) {
	a := startAWS(t, Options{})
	poor := User{Account: DefaultAccount, Name: "poor", AccessKeyID: "AKIAPOOR", SecretAccessKey: "secret"}
	a.AddUser(poor)
	good := sdkConfig(t, a, 1)
	ambient := a.Ambient()
	static := func(id, secret, session string) aws.Config {
		cfg := good.Copy()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, session)
		return cfg
	}

	for name, test := range map[string]struct {
		cfg           aws.Config
		code, message string
	}{
		"not permitted": {
			withKey(good, poor), "AccessDeniedException",
			"User: arn:aws:iam::123456789012:user/poor is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
		},
		"unknown access key":  {static("AKIANOBODY", "secret", ""), "UnrecognizedClientException", "security token"},
		"wrong session token": {static(ambient.AccessKeyID, ambient.SecretAccessKey, "stray"), "UnrecognizedClientException", ""},
		"wrong secret key":    {static(ambient.AccessKeyID, "wrong", ""), "InvalidSignatureException", "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			a.ResetCalls()
			_, err := getToken(t.Context(), test.cfg)
			wantError(t, err, test.code, test.message)
			wantCount(t, "calls with this code", a.Calls().WithCode(ActionGetAuthorizationToken, test.code), 1)
			wantCount(t, "failed calls", a.Calls().Failed(ActionGetAuthorizationToken), 1)
		})
	}

	t.Run("other operation", func(t *testing.T) {
		_, err := ecr.NewFromConfig(good).DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{})
		wantError(t, err, "UnknownOperationException", "")
		wantCount(t, "calls", a.Calls().Failed("ecr:DescribeRepositories"), 1)
	})
	wantCount(t, "tokens issued by failed calls", len(a.Tokens()), 0)
}

func TestPermissionsChangeAtRunTime(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 1)
	mustGetToken(t, cfg)

	if err := a.SetPermissions(a.Ambient().ARN(), false); err != nil {
		t.Fatal(err)
	}
	_, err := getToken(t.Context(), cfg)
	wantError(t, err, "AccessDeniedException", a.Ambient().ARN())

	a.Remove(a.Ambient().ARN())
	_, err = getToken(t.Context(), cfg)
	wantError(t, err, "UnrecognizedClientException", "")

	if err := a.SetPermissions("arn:aws:iam::123456789012:user/nobody", true); err == nil {
		t.Error("permissions for a user who does not exist: no error")
	}
}

// TestSignatureHeader sends what no SDK would.
func TestSignatureHeader(t *testing.T) {
	a := startAWS(t, Options{})
	ambient := a.Ambient()
	key := aws.Credentials{AccessKeyID: ambient.AccessKeyID, SecretAccessKey: ambient.SecretAccessKey}
	sign := func(service string) func(*http.Request) error {
		return func(r *http.Request) error {
			hash := sha256.Sum256([]byte("{}"))
			return v4.NewSigner().SignHTTP(r.Context(), key, r, hex.EncodeToString(hash[:]), service, region, time.Now())
		}
	}
	edit := func(old, replacement string) func(*http.Request) error {
		return func(r *http.Request) error {
			err := sign("ecr")(r)
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, replacement, 1))
			return err
		}
	}
	for name, test := range map[string]struct {
		prepare func(*http.Request) error
		status  int
		code    string
	}{
		"complete":         {sign("ecr"), http.StatusOK, ""},
		"absent":           {func(*http.Request) error { return nil }, http.StatusBadRequest, "MissingAuthenticationTokenException"},
		"other service":    {sign("ecr-public"), http.StatusBadRequest, "InvalidSignatureException"},
		"other algorithm":  {edit("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), http.StatusBadRequest, "IncompleteSignatureException"},
		"no signature":     {edit(", Signature=", ", Sig="), http.StatusBadRequest, "IncompleteSignatureException"},
		"other region":     {edit("/"+region+"/", "/us-east-1/"), http.StatusBadRequest, "InvalidSignatureException"},
		"unsigned content": {edit("content-length;", ""), http.StatusBadRequest, "InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.ECRURL(), strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", ecrTarget+"GetAuthorizationToken")
			if err := test.prepare(r); err != nil {
				t.Fatal(err)
			}
			resp, err := a.Transport().RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || resp.Header.Get("X-Amzn-ErrorType") != test.code {
				t.Errorf("status %d, error type %q, want %d and %q",
					resp.StatusCode, resp.Header.Get("X-Amzn-ErrorType"), test.status, test.code)
			}
			if test.code != "" && !bytes.Contains(body, []byte(`"__type":"com.amazon.coral.service#`+test.code+`"`)) {
				t.Errorf("body %s does not name %s", body, test.code)
			}
		})
	}
}

func TestECRHost(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":                "123456789012 eu-west-1",
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":       "123456789012 us-gov-west-1",
		"123456789012.dkr-ecr.eu-west-1.on.aws":                       "123456789012 eu-west-1",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":            "123456789012 cn-north-1",
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn": "123456789012 cn-north-1",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu":            "123456789012 eusc-de-east-1",
		"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov":           "123456789012 us-isob-east-1",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com":               "",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example":   "",
		"12345.dkr.ecr.eu-west-1.amazonaws.com":                       "",
		"123456789012.dkr.ecr.eu-west-1.on.aws":                       "",
		"public.ecr.aws":                                              "",
	} {
		account, region, ok := parseECRHost(host)
		got := account + " " + region
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
