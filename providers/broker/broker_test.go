package broker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

func TestManyTargetsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, latency: time.Second}
		b := newBroker(t, p)
		var woken atomic.Int32
		for range 1000 {
			target := waking(func() { woken.Add(1) })
			for range 3 { // who asks again is woken once all the same
				if _, err := b.Token(request("eu-west-1"), time.Time{}, target); !isPending(err) {
					t.Fatalf("got %v, want pending", err)
				}
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
		first := must(t, b, request("eu-west-1"), time.Time{})
		pass(6 * time.Hour)
		second := must(t, b, request("eu-west-1"), first.IssuedAt)
		if !second.IssuedAt.After(first.IssuedAt) {
			t.Fatalf("got one of %v; want a token later than %v", second.IssuedAt, first.IssuedAt)
		}
		third := must(t, b, request("eu-west-1"), first.IssuedAt)
		if third.Logins[0].Password != second.Logins[0].Password || p.calls.Load() != 2 {
			t.Errorf("the second target to be due did not get the first one's token: %d calls", p.calls.Load())
		}
	})
}

func TestEntriesThatDifferInWhatIsNoPartOfTheSourceShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		must(t, b, request("eu-west-1"), time.Time{})
		another := request("eu-west-1")
		another.Registry.Name, another.Tenant, another.Urgency, another.Registry.RenewBeforePercentage = "another", "team", 7, 30
		if must(t, b, another, time.Time{}); p.calls.Load() != 1 {
			t.Errorf("%d calls for one source", p.calls.Load())
		}
	})
}

func TestTimesAreWholeSecondsAsTheyAreWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass(time.Millisecond)
		token := must(t, newBroker(t, &fake{life: time.Hour + time.Millisecond}), request("eu-west-1"), time.Time{})
		if token.ExpiresAt.Nanosecond() != 0 || token.IssuedAt.Nanosecond() != 0 {
			t.Errorf("the token is of %v and expires at %v, and would seem newer than its own record", token.IssuedAt, token.ExpiresAt)
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
			f := failure(t, err, v1alpha1.ReasonAccessDenied)
			calls := p.calls.Load()
			if _, err := ask(b, request("eu-west-1"), time.Time{}); err == nil || p.calls.Load() != calls {
				t.Fatal("the failure was not remembered")
			}
			gaps = append(gaps, f.RetryAfter)
			pass(f.RetryAfter)
		}
		for i, gap := range gaps {
			if ceiling := min(2*time.Minute, time.Second<<(i+1)); gap < time.Second || gap > ceiling {
				t.Errorf("try %d: waits %s, want 1s to %s", i, gap, ceiling)
			}
		}
		p.err, p.life = nil, time.Hour
		must(t, b, request("eu-west-1"), time.Time{})
	})
}

func TestAGrantThatIsMissingIsAwaitedForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: providers.Errorf(v1alpha1.ReasonVerificationFailed, "may not pull")}
		b := newBroker(t, p)
		for start := time.Now(); time.Since(start) < 24*time.Hour; pass(time.Minute) {
			_, _ = ask(b, request("eu-west-1"), time.Time{})
		}
		// Between 2 and 30 minutes lie about 16 on average.
		if got := p.calls.Load(); got > 150 {
			t.Errorf("%d tokens in a day that nobody may use", got)
		}
	})
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{10 * time.Minute: 10 * time.Minute, 48 * time.Hour: 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, &fake{err: &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: asked, Err: errors.New("slow down")}})
			_, err := ask(b, request("eu-west-1"), time.Time{})
			if got := failure(t, err, v1alpha1.ReasonThrottled).RetryAfter; got != want {
				t.Errorf("Retry-After of %s: retried after %v, want %s", asked, got, want)
			}
		})
	}
}

func TestAHungCloudDelaysOnlyThoseWhoWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, well := &fake{latency: -1}, &fake{life: time.Hour}
		b := broker.New(t.Context(), broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecrPublic": hung, "ecr": well}})
		start := time.Now()
		other := providers.Request{Registry: v1alpha1.Registry{Name: "hung", ECRPublic: &v1alpha1.ECRPublic{}}}
		if _, err := b.Token(other, time.Time{}, nil); !isPending(err) {
			t.Fatalf("got %v, want pending", err)
		}
		if must(t, b, request("eu-west-1"), time.Time{}); time.Since(start) != 0 {
			t.Errorf("the other provider took %s", time.Since(start))
		}
		_, err := ask(b, other, time.Time{})
		if f := failure(t, err, v1alpha1.ReasonUnavailable); f.Scope != providers.ScopeEndpoint {
			t.Error("a call that has no end is not the endpoint's fault")
		}
		if waited := time.Since(start); waited != 30*time.Second {
			t.Errorf("the hung call took %s, want 30s", waited)
		}
	})
}

// patient is a provider whose calls may take a minute.
type patient struct{ *fake }

func (patient) CallTimeout() time.Duration { return time.Minute }

func TestAProviderMayAskForMorePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		must(t, newBroker(t, patient{&fake{life: time.Hour, latency: 50 * time.Second}}), request("eu-west-1"), time.Time{})
	})
}

func TestTheNewerMintWinsHoweverShortItLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 24 * time.Hour}
		b := newBroker(t, p)
		first := must(t, b, request("eu-west-1"), time.Time{})
		pass(12 * time.Hour)
		p.life = time.Hour
		second := must(t, b, request("eu-west-1"), first.IssuedAt)
		held, ok := b.InMemory(request("eu-west-1"))
		if !ok || second.Logins[0].Password == first.Logins[0].Password || held.Logins[0].Password != second.Logins[0].Password {
			t.Error("the token that was minted last is not the one that is handed out")
		}
	})
}

func TestARestartWithAShorterLifeCostsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		written := time.Now().Add(-12 * time.Hour) // by the process before, for 24 hours
		for start := time.Now(); time.Since(start) < 20*time.Minute; pass(time.Second) {
			token, err := ask(b, request("eu-west-1"), written)
			if err != nil || !token.IssuedAt.After(written) {
				t.Fatalf("%v, %v", token.IssuedAt, err)
			}
		}
		if got := p.calls.Load(); got != 1 {
			t.Errorf("%d calls, want 1", got)
		}
	})
}

func TestATimeToComeIsNobodysMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		for range 1000 {
			_, _ = ask(b, request("eu-west-1"), time.Now().Add(24*time.Hour))
			pass(time.Second)
		}
		if got := p.calls.Load(); got != 1 {
			t.Errorf("%d calls for a record that lies, want 1", got)
		}
	})
}

func TestThereIsAFloorBetweenMintsOfOneSource(t *testing.T) {
	for life, floor := range map[time.Duration]time.Duration{12 * time.Hour: time.Minute, 4 * time.Minute: 30 * time.Second, time.Minute: 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := newBroker(t, &fake{life: life})
			first := must(t, b, request("eu-west-1"), time.Time{})
			_, err := ask(b, request("eu-west-1"), first.IssuedAt)
			if got := early(t, err); got != floor {
				t.Errorf("a life of %s: another token after %s, want %s", life, got, floor)
			}
			pass(floor)
			must(t, b, request("eu-west-1"), first.IssuedAt)
		})
	}
}

func TestATokenThatLivesForSecondsIsRefusedAndTheLastStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, retired := revocable(t, broker.Options{})
		p.life = 20 * time.Second
		b.SetSources(ownerIn("a"), []string{request("eu-west-1").Source()})
		first := must(t, b, request("eu-west-1"), time.Time{})
		pass(10 * time.Second)
		p.life = 19 * time.Second
		_, err := ask(b, request("eu-west-1"), first.IssuedAt)
		if _ = failure(t, err, v1alpha1.ReasonInvalidResponse); !quotes(err, "lives for 19s, and is of use from 20s on") {
			t.Errorf("what is wrong is not said: %v", err)
		}
		if held, ok := b.InMemory(request("eu-west-1")); !ok || !held.IssuedAt.Equal(first.IssuedAt) {
			t.Error("the token in use was lost")
		}
		if got := retired(); len(got) != 1 {
			t.Errorf("retired %v, want what nobody is given", got)
		}
	})
}

func TestAPlatformWhoseTokensLiveForSecondsIsAskedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 5 * time.Second}
		b := newBroker(t, p)
		for range 600 {
			if _, err := b.Token(request("eu-west-1"), time.Time{}, nil); err == nil {
				t.Fatal("a token of five seconds is handed out")
			}
			pass(time.Second)
		}
		if got := p.calls.Load(); got > 30 {
			t.Errorf("%d calls in ten minutes", got)
		}
	})
}

// What was only read is as old as it is, and to read it again brings nothing else.
func TestALoginThatIsReadShortlyBeforeItsEndIsHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		must(t, newBroker(t, &fake{life: 5 * time.Second, change: func(token *providers.Token) { token.Copied = true }}), request("eu-west-1"), time.Time{})
	})
}

func TestATokenThatTheCloudRepeatsIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, change: func(token *providers.Token) { token.Logins[0].Password = "same" }}
		b := newBroker(t, p)
		b.SetSources(ownerIn("a"), []string{request("eu-west-1").Source()})
		first := must(t, b, request("eu-west-1"), time.Time{})
		pass(30 * time.Minute)
		_, err := ask(b, request("eu-west-1"), first.IssuedAt)
		if f := failure(t, err, v1alpha1.ReasonNotRenewed); f.RetryAfter < time.Second {
			t.Errorf("no patience: %s", f.RetryAfter)
		}
		if held, ok := b.InMemory(request("eu-west-1")); !ok || !held.IssuedAt.Equal(first.IssuedAt) {
			t.Error("the token in use was lost, or passes for a new one")
		}
		for start := time.Now(); time.Since(start) < 20*time.Minute; pass(time.Second) {
			_, _ = ask(b, request("eu-west-1"), first.IssuedAt)
		}
		if got := p.calls.Load(); got > 60 {
			t.Errorf("%d calls in 20 minutes to a cloud that repeats itself", got)
		}
		p.change = nil
		pass(2 * time.Minute)
		must(t, b, request("eu-west-1"), first.IssuedAt)
	})
}

func TestAnUnusableTokenIsAFailure(t *testing.T) {
	for name, p := range map[string]*fake{
		"expired":     {life: -time.Minute},
		"ends now":    {},
		"no login":    {life: time.Hour, change: func(token *providers.Token) { token.Logins = nil }},
		"no password": {life: time.Hour, change: func(token *providers.Token) { token.Logins[0].Password = "" }},
		"no host":     {life: time.Hour, change: func(token *providers.Token) { token.Logins[0].Hosts = nil }},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := ask(newBroker(t, p), request("eu-west-1"), time.Time{})
			if t.Log(name); err == nil {
				t.Fatal("no failure")
			}
			if _ = failure(t, err, v1alpha1.ReasonInvalidResponse); !quotes(err, "no usable token") {
				t.Errorf("what is wrong is not said: %v", err)
			}
		})
	}
}

type panicking struct{}

func (panicking) Token(context.Context, providers.Request) (providers.Token, error) { panic("canary") }

func TestAPanicOfAProviderIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
		_, err := ask(broker.New(ctx, broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": panicking{}}}), request("eu-west-1"), time.Time{})
		if _ = failure(t, err, v1alpha1.ReasonInternal); quotes(err, "canary") {
			t.Errorf("%v quotes the panic", err)
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "panicking.Token:") || strings.Contains(lines[0], "canary") {
			t.Errorf("the log says %q, want where it was, and not what", lines)
		}
	})
}

// talkative is a provider that says something to those who look closely.
type talkative struct{ *fake }

func (p talkative) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	logr.FromContextOrDiscard(ctx).Info("here")
	return p.fake.Token(ctx, req)
}

func TestWhatAProviderLogsStandsUnderItsCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
		b := broker.New(ctx, broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": talkative{&fake{life: time.Hour}}}})
		req := request("eu-west-1")
		req.Credential = "RegistryCredential team-a/images"
		must(t, b, req, time.Time{})
		if len(lines) != 1 || !strings.Contains(lines[0], `"credential"="RegistryCredential team-a/images" "registry"="prod"`) {
			t.Errorf("%q", lines)
		}
	})
}
