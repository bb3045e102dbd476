package cloud

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestClockOffset(t *testing.T) {
	for name, test := range map[string]struct {
		offset  time.Duration
		message string // of the refusal, empty if there is none
	}{
		"behind":          {-time.Hour, "Signature not yet current: "},
		"ahead":           {time.Hour, "Signature expired: "},
		"a little behind": {-4 * time.Minute, ""},
		"a little ahead":  {4 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newFakeClock()
			a := startAWS(t, Options{Clock: clock.Now, ClockOffset: test.offset})
			_, err := getToken(t.Context(), sdkConfig(t, a, 1))
			if test.message == "" && err != nil {
				t.Fatal(err)
			}
			if test.message != "" {
				wantError(t, err, "InvalidSignatureException", test.message)
			}

			a.ResetCalls()
			cfg := sdkConfig(t, a, 2)
			token := mustGetToken(t, cfg)
			if want := clock.Now().Add(test.offset + 12*time.Hour).Truncate(time.Millisecond); !token.expiresAt.Equal(want) {
				t.Errorf("expires at %v, want %v", token.expiresAt, want)
			}
			if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
				t.Error(err)
			}
			refused := 0
			if test.message != "" {
				refused = 1 // and the SDK's second attempt corrects the skew
			}
			wantCount(t, "refused by ECR", a.Calls().WithCode(ActionGetAuthorizationToken, "InvalidSignatureException"), refused)
			wantCount(t, "refused by STS", a.Calls().WithCode(ActionGetCallerIdentity, "SignatureDoesNotMatch"), refused)
		})
	}
}

func TestClockOffsetKillsTokens(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	if !a.IsLive(token.password) {
		t.Fatal("a new token is not alive")
	}
	a.SetClockOffset(13 * time.Hour)
	if a.IsLive(token.password) {
		t.Error("alive an hour after its expiry by the cloud's clock")
	}
}
