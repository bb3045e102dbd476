package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// tenant is one of many requests to one endpoint.
func tenant(region string, n int) providers.Request {
	req := request(region)
	req.Registry.ECR.Accounts = []string{fmt.Sprintf("%012d", n)}
	return req
}

// askAll asks for many tokens at once.
func askAll(b *broker.Broker, region string, n int) {
	for i := range n {
		_, _ = b.Token(tenant(region, i), time.Time{}, func() {})
	}
	synctest.Wait()
}

func TestCallsToOneEndpointAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		askAll(b, "eu-west-1", 120)
		if got := p.calls.Load(); got != 20 {
			t.Errorf("%d calls at once, want a burst of 20", got)
		}
		if _, err := ask(b, request("us-east-1"), time.Time{}); err != nil || p.calls.Load() != 21 {
			t.Errorf("another endpoint waits for its turn behind this one: %v", err)
		}
		pass(10 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got != 121 {
			t.Errorf("%d calls after 10 s, want 120 more: 10 a second after the burst", got)
		}
	})
}

func TestAHungEndpointHoldsFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{latency: -1}
		b := newBroker(t, p)
		askAll(b, "eu-west-1", 200)
		pass(29 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got != 32 {
			t.Errorf("%d calls are under way, want 32 at most", got)
		}
		pass(20 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got > 32+5 {
			t.Errorf("%d calls to an endpoint that never answers: it gets no rest", got)
		}
	})
}

func TestAnEndpointThatIsDownIsLeftAloneAndThenTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: providers.Errorf(v1alpha1.ReasonUnavailable, "down"), life: time.Hour}
		b := newBroker(t, p)
		for i := range 5 {
			if _, err := ask(b, tenant("eu-west-1", i), time.Time{}); err == nil {
				t.Fatal("no failure")
			}
		}
		_, err := ask(b, tenant("eu-west-1", 5), time.Time{})
		var failure *providers.Error
		if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonUnavailable || failure.RetryAfter <= 0 || p.calls.Load() != 5 {
			t.Fatalf("a sixth request got %v after %d calls, want the failure of the others without a call", err, p.calls.Load())
		}
		if _, err := ask(b, request("us-east-1"), time.Time{}); err == nil || p.calls.Load() != 6 {
			t.Error("another endpoint rests with it")
		}
		p.err, p.latency = nil, time.Second
		pass(failure.RetryAfter)
		askAll(b, "eu-west-1", 20)
		if got := p.calls.Load(); got != 7 {
			t.Errorf("%d calls after the rest, want a single trial", got-6)
		}
		pass(2 * time.Second)
		synctest.Wait()
		for i := range 20 {
			if _, err := ask(b, tenant("eu-west-1", i), time.Time{}); err != nil {
				t.Errorf("request %d: %v though the endpoint is back", i, err)
			}
		}
	})
}

func TestARestGrowsWhileTheTrialsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: providers.Errorf(v1alpha1.ReasonUnavailable, "down")}
		b := newBroker(t, p)
		for start := time.Now(); time.Since(start) < time.Hour; pass(time.Second) {
			for i := range 20 {
				_, _ = b.Token(tenant("eu-west-1", i), time.Time{}, func() {})
			}
			synctest.Wait()
		}
		// Full jitter of up to two minutes makes one a minute on average.
		if got := p.calls.Load(); got < 30 || got > 120 {
			t.Errorf("%d calls in an hour for 20 requests to an endpoint that is down, want about one a minute", got)
		}
	})
}

func TestAnEndpointOfShortLivedTokensRestsShortly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 40 * time.Second}
		b := newBroker(t, p)
		for i := range 10 {
			if _, err := ask(b, tenant("eu-west-1", i), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		p.err = providers.Errorf(v1alpha1.ReasonUnavailable, "down")
		for start := time.Now(); time.Since(start) < 10*time.Minute; pass(time.Second) {
			for i := range 10 {
				_, _ = b.Token(tenant("eu-west-1", i), time.Now().Add(time.Hour), func() {})
			}
			synctest.Wait()
		}
		p.err = nil
		pass(6 * time.Second) // an eighth of 40 s, and the second over which requests are spread
		if _, err := ask(b, tenant("eu-west-1", 3), time.Time{}); err != nil {
			t.Errorf("6 s after the end of a long outage: %v", err)
		}
	})
}

func TestARetryAfterSilencesTheWholeEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, err: &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: 5 * time.Minute, Err: errors.New("slow down")}}
		b := newBroker(t, p)
		_, _ = ask(b, tenant("eu-west-1", 1), time.Time{})
		p.err = nil
		_, err := ask(b, tenant("eu-west-1", 2), time.Time{})
		var failure *providers.Error
		if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonThrottled || p.calls.Load() != 1 {
			t.Fatalf("got %v after %d calls; the endpoint had asked to be left alone", err, p.calls.Load())
		}
		if failure.RetryAfter < 5*time.Minute || failure.RetryAfter > 5*time.Minute+time.Second {
			t.Errorf("to be tried after %s, want 5 minutes and up to a second", failure.RetryAfter)
		}
		pass(failure.RetryAfter)
		if _, err := ask(b, tenant("eu-west-1", 2), time.Time{}); err != nil {
			t.Errorf("after the rest: %v", err)
		}
	})
}

func TestARefusalOfOneRequestIsNoFaultOfTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, err: providers.Errorf(v1alpha1.ReasonAccessDenied, "no")}
		b := newBroker(t, p)
		for i := range 10 {
			_, _ = ask(b, tenant("eu-west-1", i), time.Time{})
		}
		p.err = nil
		if _, err := ask(b, tenant("eu-west-1", 11), time.Time{}); err != nil {
			t.Errorf("ten tenants that may not get a token take it from the next: %v", err)
		}
	})
}

func TestAShortLivedTokenIsNotWaitedForForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 40 * time.Second}
		b := newBroker(t, p)
		token, err := ask(b, request("eu-west-1"), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		p.err = providers.Errorf(v1alpha1.ReasonAccessDenied, "no")
		for range 12 {
			_, err = ask(b, request("eu-west-1"), token.ExpiresAt)
			var failure *providers.Error
			if !errors.As(err, &failure) || failure.RetryAfter > 5*time.Second {
				t.Fatalf("got %v; want a retry within an eighth of what the token lived", err)
			}
			pass(failure.RetryAfter)
		}
	})
}

// revoker is a provider of tokens that can be revoked.
type revoker struct {
	*fake
	revoked []string
}

func (r *revoker) Revoke(_ context.Context, _ providers.Request, id string) error {
	r.revoked = append(r.revoked, id)
	return r.err
}

func (r *revoker) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	token, err := r.fake.Token(ctx, req)
	token.ID = fmt.Sprintf("id-%d", r.calls.Load())
	return token, err
}

func TestATokenIsRevokedByItsProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &revoker{fake: &fake{life: time.Hour}}
		b := newBroker(t, p)
		revoke := func(id string) error {
			ended := make(chan error, 1)
			b.Revoke(id, func(err error) { ended <- err })
			return <-ended
		}
		first, err := ask(b, request("eu-west-1"), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{first.ID, "somebody else's"} {
			if err := revoke(id); err != nil || len(p.revoked) != 0 {
				t.Errorf("%s: %v, revoked %v: it is in use, or not known", id, err, p.revoked)
			}
		}
		pass(time.Minute)
		if _, err := ask(b, request("eu-west-1"), first.ExpiresAt); err != nil {
			t.Fatal(err)
		}
		if err := revoke(first.ID); err != nil || len(p.revoked) != 1 || p.revoked[0] != first.ID {
			t.Errorf("revoked %v, %v", p.revoked, err)
		}
		p.err = providers.Errorf(v1alpha1.ReasonUnavailable, "down")
		if err := revoke(first.ID); err == nil {
			t.Error("a failure is not told")
		}
	})
}
