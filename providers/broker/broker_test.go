package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// fake mints tokens that live for life, or fails with err, after latency. A negative latency hangs until the caller gives up.
type fake struct {
	life    time.Duration
	latency time.Duration
	err     error
	calls   atomic.Int32
}

func (f *fake) Token(ctx context.Context, _ providers.Request) (providers.Token, error) {
	n := f.calls.Add(1)
	wait := f.latency
	if wait < 0 {
		wait = 1000 * time.Hour
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return providers.Token{}, ctx.Err()
	}
	if f.err != nil {
		return providers.Token{}, f.err
	}
	return providers.Token{
		Logins: []providers.Login{{
			Username: "AWS", Password: providers.Sensitive(fmt.Sprintf("token-%d", n)), Hosts: []string{"registry.example"},
		}},
		ExpiresAt: time.Now().Add(f.life),
	}, nil
}

func newBroker(t *testing.T, p providers.Provider) *broker.Broker {
	t.Helper()
	return broker.New(t.Context(), clock.RealClock{}, map[string]providers.Provider{"ecr": p})
}

func request(region string) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
}

// pass lets time pass.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the clock is synctest's

// ask asks until the call that it started has ended.
func ask(b *broker.Broker, req providers.Request, newerThan time.Time) (providers.Token, error) {
	woken := make(chan struct{})
	token, err := b.Token(req, newerThan, func() { close(woken) })
	if _, pending := errors.AsType[*providers.PendingError](err); !pending {
		return token, err
	}
	<-woken
	return b.Token(req, newerThan, func() {})
}

func TestManyTargetsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, latency: time.Second}
		b := newBroker(t, p)
		var woken atomic.Int32
		for range 1000 {
			var pending *providers.PendingError
			if _, err := b.Token(request("eu-west-1"), time.Time{}, func() { woken.Add(1) }); !errors.As(err, &pending) {
				t.Fatalf("got %v, want pending", err)
			}
		}
		pass(2 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got != 1 {
			t.Errorf("%d calls for 1000 targets, want 1", got)
		}
		if got := woken.Load(); got != 1000 {
			t.Errorf("%d targets woken, want 1000", got)
		}
		if _, err := ask(b, request("eu-west-1"), time.Time{}); err != nil || p.calls.Load() != 1 {
			t.Errorf("a held token was not given: %v, %d calls", err, p.calls.Load())
		}
	})
}

func TestATargetThatIsDueGetsANewerTokenThanItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		first, err := ask(b, request("eu-west-1"), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		pass(6 * time.Hour)
		second, err := ask(b, request("eu-west-1"), first.ExpiresAt)
		if err != nil || !second.ExpiresAt.After(first.ExpiresAt) {
			t.Fatalf("got %v, %v; want a token later than %v", second.ExpiresAt, err, first.ExpiresAt)
		}
		third, err := ask(b, request("eu-west-1"), first.ExpiresAt)
		if err != nil || third.Logins[0].Password != second.Logins[0].Password || p.calls.Load() != 2 {
			t.Errorf("the second target to be due did not get the first one's token: %d calls, %v", p.calls.Load(), err)
		}
		if got, want := second.RefreshAt(), second.IssuedAt.Add(6*time.Hour); !got.Equal(want) {
			t.Errorf("refresh at %v, want %v: half of the actual life", got, want)
		}
	})
}

func TestTimesAreWholeSecondsAsTheyAreWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, err := ask(newBroker(t, &fake{life: time.Hour + time.Millisecond}), request("eu-west-1"), time.Time{})
		if err != nil || token.ExpiresAt.Nanosecond() != 0 {
			t.Errorf("the token expires at %v, and would seem newer than its own record: %v", token.ExpiresAt, err)
		}
	})
}

func TestAFailureIsSharedAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: providers.Errorf(v1alpha1.ReasonAccessDenied, "no")}
		b := newBroker(t, p)
		var gaps []time.Duration
		for range 30 {
			_, err := ask(b, request("eu-west-1"), time.Time{})
			var failure *providers.Error
			if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonAccessDenied {
				t.Fatalf("got %v, want AccessDenied", err)
			}
			calls := p.calls.Load()
			if _, err := ask(b, request("eu-west-1"), time.Time{}); err == nil || p.calls.Load() != calls {
				t.Fatal("the failure was not remembered")
			}
			gaps = append(gaps, failure.RetryAfter)
			pass(failure.RetryAfter)
		}
		for i, gap := range gaps {
			if ceiling := min(2*time.Minute, time.Second<<(i+1)); gap < time.Second || gap > ceiling {
				t.Errorf("try %d: waits %s, want 1s to %s", i, gap, ceiling)
			}
		}
		p.err, p.life = nil, time.Hour
		if _, err := ask(b, request("eu-west-1"), time.Time{}); err != nil {
			t.Errorf("did not recover: %v", err)
		}
	})
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{10 * time.Minute: 10 * time.Minute, 48 * time.Hour: 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, &fake{err: &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: asked, Err: errors.New("slow down")}})
			_, err := ask(b, request("eu-west-1"), time.Time{})
			var failure *providers.Error
			if !errors.As(err, &failure) || failure.RetryAfter != want {
				t.Errorf("Retry-After of %s: retried after %v, want %s", asked, failure.RetryAfter, want)
			}
		})
	}
}

func TestAHungCloudDelaysOnlyThoseWhoWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, well := &fake{latency: -1}, &fake{life: time.Hour}
		b := broker.New(t.Context(), clock.RealClock{}, map[string]providers.Provider{"ecrPublic": hung, "ecr": well})
		start := time.Now()
		other := providers.Request{Registry: v1alpha1.Registry{Name: "hung", ECRPublic: &v1alpha1.ECRPublic{}}}
		var pending *providers.PendingError
		if _, err := b.Token(other, time.Time{}, func() {}); !errors.As(err, &pending) {
			t.Fatalf("got %v, want pending", err)
		}
		if _, err := ask(b, request("eu-west-1"), time.Time{}); err != nil || time.Since(start) != 0 {
			t.Errorf("the other provider took %s: %v", time.Since(start), err)
		}
		_, err := ask(b, other, time.Time{})
		var failure *providers.Error
		if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonUnavailable {
			t.Errorf("the hung call ended with %v, want Unavailable", err)
		}
		if waited := time.Since(start); waited != 30*time.Second {
			t.Errorf("the hung call took %s, want 30s", waited)
		}
	})
}

func TestAWorseTokenNeverReplacesTheOneHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		good, err := ask(b, request("eu-west-1"), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		p.life = 10 * time.Minute
		_, err = ask(b, request("eu-west-1"), good.ExpiresAt)
		var failure *providers.Error
		if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonNotRenewed || failure.RetryAfter < time.Second {
			t.Errorf("got %v, want NotRenewed and some patience", err)
		}
		if held, ok := b.Held(request("eu-west-1")); !ok || held.Logins[0].Password != good.Logins[0].Password {
			t.Error("the better token was lost")
		}
	})
}

func TestAnUnusableTokenIsAFailure(t *testing.T) {
	for name, p := range map[string]*fake{"expired": {life: -time.Minute}, "ends now": {}} {
		synctest.Test(t, func(t *testing.T) {
			_, err := ask(newBroker(t, p), request("eu-west-1"), time.Time{})
			var failure *providers.Error
			if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonInvalidResponse {
				t.Errorf("%s: got %v, want InvalidResponse", name, err)
			}
		})
	}
}

type panicking struct{}

func (panicking) Token(context.Context, providers.Request) (providers.Token, error) { panic("canary") }

func TestAPanicOfAProviderIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := ask(newBroker(t, panicking{}), request("eu-west-1"), time.Time{})
		var failure *providers.Error
		if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonInternal || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v, want Internal without the panic's own words", err)
		}
	})
}
