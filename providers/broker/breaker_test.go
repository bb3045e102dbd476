package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func TestAnEndpointThatIsDownIsLeftAloneAndThenTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: down(), life: time.Hour}
		b := newBroker(t, p)
		for i := range 5 {
			if _, err := ask(b, entry("a", "eu-west-1", i), time.Time{}); err == nil {
				t.Fatal("no failure")
			}
		}
		_, err := ask(b, entry("a", "eu-west-1", 5), time.Time{})
		f := failure(t, err, v1alpha1.ReasonUnavailable)
		if f.RetryAfter <= 0 || p.calls.Load() != 5 {
			t.Fatalf("a sixth request got %v after %d calls, want a failure without a call", err, p.calls.Load())
		}
		if _, err := ask(b, entry("a", "us-east-1", 0), time.Time{}); err == nil || p.calls.Load() != 6 {
			t.Error("another endpoint rests with it")
		}
		p.err, p.latency = nil, time.Second
		pass(f.RetryAfter)
		askMany(b, "a", 20)
		if got := p.calls.Load(); got != 7 {
			t.Errorf("%d calls after the rest, want a single trial", got-6)
		}
		pass(2 * time.Second)
		synctest.Wait()
		for i := range 20 {
			must(t, b, entry("a", "eu-west-1", i), time.Time{})
		}
	})
}

func TestOneTenantsFailuresAreItsOwnAffair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: errors.New("set below"), life: time.Hour}
		b := newBroker(t, p)
		secret := down()
		secret.Err = errors.New("canary: role of the other tenant")
		for hour := range 3 {
			for start := time.Now(); time.Since(start) < 10*time.Minute; pass(time.Second) {
				p.err = secret
				for i := range 16 {
					_, _ = ask(b, entry("attacker", "eu-west-1", i), time.Time{})
				}
			}
			p.err = nil
			if _, err := ask(b, entry("victim", "eu-west-1", hour), time.Time{}); err != nil {
				t.Errorf("the neighbour gets %v", err)
			}
			p.err = secret
		}
		_, err := ask(b, entry("attacker", "eu-west-1", 99), time.Time{})
		_, err2 := ask(b, entry("attacker", "eu-west-1", 98), time.Time{})
		if err == nil || err2 == nil || quotes(err2, "canary") {
			t.Errorf("%v, %v", err, err2)
		}
	})
}

func TestAnEndpointRestsForAllOnTheWordOfThree(t *testing.T) {
	for tenants, rests := range map[int]bool{1: false, 2: false, 3: true} {
		synctest.Test(t, func(t *testing.T) {
			secret := down()
			secret.Err = errors.New("canary")
			p := &fake{err: secret, life: time.Hour}
			b := newBroker(t, p)
			for n := range 12 {
				_, _ = ask(b, entry(fmt.Sprint("t", n%tenants), "eu-west-1", n), time.Time{})
			}
			p.err = nil
			_, err := ask(b, entry("bystander", "eu-west-1", 0), time.Time{})
			if (err != nil) != rests || quotes(err, "canary") {
				t.Errorf("on the word of %d: %v", tenants, err)
			}
			if f, ok := errors.AsType[*providers.Error](err); ok && (!quotes(err, "ecr/eu-west-1") || f.Reason != v1alpha1.ReasonUnavailable) {
				t.Errorf("%v does not name reason and endpoint", err)
			}
		})
	}
}

func TestAnEndpointRestsForAllOnTheWordOfEveryCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: down(), life: time.Hour}
		b := newBroker(t, p)
		for range 10 {
			for _, tenant := range []string{"a", ""} {
				_, _ = ask(b, entry(tenant, "eu-west-1", 0), time.Time{})
			}
			pass(time.Minute)
		}
		_, _ = ask(b, entry("a", "eu-west-1", 0), time.Time{})
		calls := p.calls.Load()
		if _, err := ask(b, entry("bystander", "eu-west-1", 0), time.Time{}); err == nil || p.calls.Load() != calls {
			t.Errorf("%v: all who have called for ten minutes found it down", err)
		}
	})
}

func TestARestGrowsWhileTheTrialsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: down()}
		b := newBroker(t, p)
		for start := time.Now(); time.Since(start) < time.Hour; pass(time.Second) {
			askMany(b, "a", 20)
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
			must(t, b, entry("a", "eu-west-1", i), time.Time{})
		}
		p.err = down()
		for start := time.Now(); time.Since(start) < 10*time.Minute; pass(time.Second) {
			askMany(b, "a", 10)
		}
		p.err = nil
		pass(6 * time.Second) // an eighth of 40 s, and the second over which requests are spread
		must(t, b, entry("a", "eu-west-1", 3), time.Time{})
	})
}

func TestARetryAfterSilencesTheTenantThatWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, err: &providers.Error{Reason: v1alpha1.ReasonThrottled, Scope: providers.ScopeEndpoint, RetryAfter: 5 * time.Minute, Err: errors.New("slow down")}}
		b := newBroker(t, p)
		_, _ = ask(b, entry("a", "eu-west-1", 1), time.Time{})
		p.err = nil
		_, err := ask(b, entry("a", "eu-west-1", 2), time.Time{})
		f := failure(t, err, v1alpha1.ReasonThrottled)
		if p.calls.Load() != 1 || f.RetryAfter < 5*time.Minute || f.RetryAfter > 5*time.Minute+time.Second {
			t.Errorf("%d calls, to be tried after %s; want 5 minutes and up to a second", p.calls.Load(), f.RetryAfter)
		}
		must(t, b, entry("b", "eu-west-1", 2), time.Time{})
		pass(f.RetryAfter)
		must(t, b, entry("a", "eu-west-1", 2), time.Time{})
	})
}

func TestWhatIsNotTheEndpointsFaultNeitherCountsNorResets(t *testing.T) {
	for name, scope := range map[string]providers.Scope{"request": providers.ScopeRequest, "Kubernetes": providers.ScopeKubernetes} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own := &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: scope, Err: errors.New("no")}
				p := &fake{life: time.Hour, err: own}
				b := newBroker(t, p)
				for i := range 10 {
					_, _ = ask(b, entry("a", "eu-west-1", i), time.Time{})
				}
				p.err = nil
				must(t, b, entry("a", "eu-west-1", 11), time.Time{})

				p.err = down()
				for i := range 4 {
					_, _ = ask(b, entry("a", "eu-west-1", 20+i), time.Time{})
				}
				p.err = own
				_, _ = ask(b, entry("a", "eu-west-1", 30), time.Time{})
				p.err = down()
				_, _ = ask(b, entry("a", "eu-west-1", 31), time.Time{})
				calls := p.calls.Load()
				if _, err := ask(b, entry("a", "eu-west-1", 32), time.Time{}); err == nil || p.calls.Load() != calls {
					t.Error("the fifth failure in a row opened nothing: one of another kind lay between")
				}
				// Nor does it pass for a trial that has found the endpoint well.
				p.err = own
				pass(time.Minute)
				_, _ = ask(b, entry("a", "eu-west-1", 33), time.Time{})
				p.err, p.latency = nil, time.Second
				calls = p.calls.Load()
				askMany(b, "a", 20)
				if got := p.calls.Load() - calls; got != 1 {
					t.Errorf("%d calls at once to an endpoint that has not been found well, want 1", got)
				}
				pass(3 * time.Second)
			})
		})
	}
}

func TestAShortLivedTokenIsNotWaitedForForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 40 * time.Second}
		b := newBroker(t, p)
		token := must(t, b, request("eu-west-1"), time.Time{})
		pass(10 * time.Second)
		p.err = providers.Errorf(v1alpha1.ReasonAccessDenied, "no")
		for range 12 {
			_, err := ask(b, request("eu-west-1"), token.IssuedAt)
			f := failure(t, err, v1alpha1.ReasonAccessDenied)
			if f.RetryAfter > 5*time.Second {
				t.Fatalf("retried after %s; want it within an eighth of what the token lived", f.RetryAfter)
			}
			pass(f.RetryAfter)
		}
	})
}
