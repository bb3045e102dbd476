package cloud

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
)

const (
	region = "eu-west-1"
	host   = DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com"
)

func startAWS(t *testing.T, opts Options) *AWS {
	t.Helper()
	return started(t, StartAWS, opts)
}

// sdkConfig is what any program gets from the SDK in the cloud's environment, but for the retries' waiting.
func sdkConfig(t *testing.T, a *AWS, maxAttempts int) aws.Config {
	t.Helper()
	for _, variable := range a.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(region), config.WithRetryer(func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = maxAttempts
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func withKey(cfg aws.Config, user User) aws.Config {
	cfg.Credentials = credentials.NewStaticCredentialsProvider(user.AccessKeyID, user.SecretAccessKey, "")
	return cfg
}

func inRegion(cfg aws.Config, region string) aws.Config {
	cfg.Region = region
	return cfg
}

type minted struct {
	username, password, proxyEndpoint string
	expiresAt                         time.Time
}

func getToken(ctx context.Context, cfg aws.Config) (minted, error) {
	out, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return minted{}, err
	}
	data := out.AuthorizationData[0]
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	if err != nil {
		return minted{}, errors.New("the token is not base64")
	}
	username, password, _ := strings.Cut(string(decoded), ":")
	return minted{username, password, aws.ToString(data.ProxyEndpoint), aws.ToTime(data.ExpiresAt)}, nil
}

func mustGetToken(t *testing.T, cfg aws.Config) minted {
	t.Helper()
	token, err := getToken(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func dockerConfig(t *testing.T, host, username, password string) []byte {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	out, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func errorCode(err error) string {
	if apiError, ok := errors.AsType[smithy.APIError](err); ok {
		return apiError.ErrorCode()
	}
	return ""
}

// wantError compares an API error's code and a part of its message. It never prints the error of a call that succeeded.
func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	if got := errorCode(err); got != code || !strings.Contains(err.Error(), message) {
		t.Errorf("error %q, want code %s and %q in it", err, code, message)
	}
}

func wantCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// fakeClock starts at a time that is not the machine's, so that a mix-up of the two shows.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2031, time.May, 4, 10, 0, 0, 123456789, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestContainsCanary(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	for what, text := range map[string][]byte{
		"password":     []byte("x " + token.password),
		"dockerconfig": dockerConfig(t, host, token.username, token.password),
		"secret key":   []byte(a.Ambient().SecretAccessKey),
	} {
		if !ContainsCanary(text) {
			t.Errorf("canary not found in a %s", what)
		}
	}
	if ContainsCanary([]byte("registry-canary and " + a.Ambient().AccessKeyID)) {
		t.Error("canary found where there is none")
	}
}
