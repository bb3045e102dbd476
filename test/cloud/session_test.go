package cloud

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// session takes credentials out of the SDK's hands: it would fetch new ones before the old expire.
func session(t *testing.T, cfg aws.Config) aws.Config {
	t.Helper()
	keys, err := asWebIdentity(t, cfg).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := cfg.Copy()
	out.Credentials = credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken)
	return out
}

func TestTokenOutlivesItsSession(t *testing.T) {
	clock := newFakeClock()
	a := startAWS(t, Options{Clock: clock.Now})
	addRole(t, a, pullRole())
	cfg := session(t, sdkConfig(t, a, 1))
	token := mustGetToken(t, cfg)

	clock.Step(time.Hour)
	_, err := getToken(t.Context(), cfg)
	wantError(t, err, "ExpiredTokenException", "expired")
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "ExpiredToken", "expired")
	if !a.IsLive(token.password) {
		t.Error("the token died with the session that minted it")
	}
}

func TestRemovedRole(t *testing.T) {
	a := startAWS(t, Options{})
	addRole(t, a, pullRole())
	cfg := sdkConfig(t, a, 1)
	old := session(t, cfg)
	a.Remove(roleARN)

	_, err := getToken(t.Context(), asWebIdentity(t, cfg))
	wantError(t, err, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	_, err = getToken(t.Context(), old)
	wantError(t, err, "UnrecognizedClientException", "")
}
