package cloud

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestThrottledCallsAreRetried(t *testing.T) {
	a := startAWS(t, Options{})
	a.ECR.Set(Fault{Throttle: 2})
	mustGetToken(t, sdkConfig(t, a, 3))
	calls := a.Calls()
	wantCount(t, "throttled", calls.WithCode(ActionGetAuthorizationToken, "ThrottlingException"), 2)
	wantCount(t, "succeeded", calls.Succeeded(ActionGetAuthorizationToken), 1)
}

func TestThrottleUntilReset(t *testing.T) {
	a := startAWS(t, Options{STS: Fault{Throttle: -1}})
	cfg := sdkConfig(t, a, 3)
	client := sts.NewFromConfig(cfg)
	_, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "Throttling", "Rate exceeded")
	wantCount(t, "throttled", a.Calls().WithCode(ActionGetCallerIdentity, "Throttling"), 3)

	mustGetToken(t, cfg) // ECR has faults of its own
	a.STS.Reset()
	if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	a := startAWS(t, Options{ECR: Fault{Throttle: 1, RetryAfter: 1500 * time.Millisecond}})
	_, err := getToken(t.Context(), sdkConfig(t, a, 1))
	wantError(t, err, "ThrottlingException", "Rate exceeded")
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || response.HTTPStatusCode() != http.StatusBadRequest || response.Response.Header.Get("Retry-After") != "2" {
		t.Errorf("response %v, want status 400 and Retry-After: 2", response)
	}
}

func TestServerErrors(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 2)
	a.ECR.Set(Fault{Outage: OutageServerError})
	_, err := getToken(t.Context(), cfg)
	wantError(t, err, "ServerException", "StatusCode: 500")
	wantCount(t, "calls with retries", a.Calls().WithCode(ActionGetAuthorizationToken, "ServerException"), 2)

	a.STS.Set(Fault{Outage: OutageServerError})
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	wantError(t, err, "InternalFailure", "StatusCode: 500")

	a.ECR.Reset()
	mustGetToken(t, cfg)
}

func TestClosedConnections(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 2)
	mustGetToken(t, cfg)
	a.ECR.Set(Fault{Outage: OutageClosed})
	_, err := getToken(t.Context(), cfg)
	if !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want EOF", err)
	}
	wantCount(t, "calls", a.Calls().WithCode(ActionGetAuthorizationToken, CodeClosed), 2)
}

// hang makes a call that hangs, and returns once the cloud has accepted it.
func hang(ctx context.Context, t *testing.T, a *AWS) <-chan error {
	t.Helper()
	a.ECR.Set(Fault{Outage: OutageHang})
	cfg := sdkConfig(t, a, 1)
	done := make(chan error, 1)
	go func() {
		_, err := getToken(ctx, cfg)
		done <- err
	}()
	for a.Calls().WithCode(ActionGetAuthorizationToken, CodeHung) == 0 {
		select {
		case err := <-done:
			t.Fatalf("the call ended before it hung: %v", err)
		default:
			runtime.Gosched()
		}
	}
	return done
}

func TestHang(t *testing.T) {
	t.Run("until the client gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := startAWS(t, Options{})
		done := hang(ctx, t, a)
		wantCount(t, "open calls", a.ECR.Hanging(), 1)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the cancellation", err)
		}
	})
	t.Run("until the fault is reset", func(t *testing.T) {
		a := startAWS(t, Options{})
		done := hang(t.Context(), t, a)
		a.ECR.Reset()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want EOF", err)
		}
	})
	t.Run("until the cloud closes", func(t *testing.T) {
		a, err := StartAWS(Options{})
		if err != nil {
			t.Fatal(err)
		}
		done := hang(t.Context(), t, a)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("the call succeeded")
		}
	})
}

func TestLatency(t *testing.T) {
	a := startAWS(t, Options{ECR: Fault{Latency: time.Hour}})
	cfg := sdkConfig(t, a, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := getToken(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	a.ECR.Set(Fault{Latency: 30 * time.Millisecond})
	start := time.Now()
	mustGetToken(t, cfg)
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("took %v, want 30ms at least", took)
	}
}

func TestRegistryFaults(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	seed(t, a, host, "app", "v1")
	config := dockerConfig(t, host, "AWS", token.password)
	transport := a.Transport()
	pull := func(ctx context.Context) error {
		_, err := Pull(ctx, transport, config, host+"/app:v1")
		return err
	}

	a.Registry.Set(Fault{Outage: OutageServerError})
	wantRefusal(t, pull(t.Context()), http.StatusInternalServerError, "unknown error")
	a.Registry.Set(Fault{Throttle: -1, RetryAfter: time.Minute})
	wantRefusal(t, pull(t.Context()), http.StatusTooManyRequests, "TOOMANYREQUESTS")
	wantCount(t, "pulls refused for the token's sake", a.Calls().PullsRefused(), 0)

	a.Registry.Set(Fault{Outage: OutageHang})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := pull(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	a.Registry.Reset()
	if err := pull(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCallsAndSettingsFromManyGoroutines(t *testing.T) {
	a := startAWS(t, Options{})
	cfg := sdkConfig(t, a, 1)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				a.ECR.Set(Fault{Throttle: 1})
				_, err := getToken(t.Context(), cfg)
				if err != nil && errorCode(err) != "ThrottlingException" {
					t.Error(err)
				}
				a.SetTokenLife(time.Hour)
				a.AddUser(a.Ambient())
				a.LiveTokens()
			}
		})
	}
	group.Wait()
	wantCount(t, "calls", a.Calls().Of(ActionGetAuthorizationToken), 80)
	wantCount(t, "tokens", len(a.Tokens()), a.Calls().Succeeded(ActionGetAuthorizationToken))
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		a, err := StartAWS(Options{})
		if err != nil {
			t.Fatal(err)
		}
		mustGetToken(t, sdkConfig(t, a, 1))
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for runtime.NumGoroutine() > before {
		runtime.Gosched() // connections end on goroutines of their own; a leak runs into the test's timeout
	}
}
