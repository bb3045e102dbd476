package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// judge is a provider whose logins are judged like this, after a second.
type judge struct {
	fake
	mu     sync.Mutex
	trials int
	err    error
}

func (j *judge) Try(context.Context, providers.Request, providers.Login, providers.Pull) (providers.Verdict, error) {
	pass(time.Second)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trials++
	return providers.Verdict{Result: providers.LoginRefused}, j.err
}

func TestALoginIsTriedOnceAMinuteForARepository(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{}
		b := newBroker(t, j)
		login := providers.Login{Username: "u", Password: "p"}
		pull := providers.Pull{Host: "registry.example", Repository: "a"}
		woken := 0
		for range 1000 {
			if _, err := b.Try(request("eu-west-1"), login, pull, func() { woken++ }); !isPending(err) {
				t.Fatalf("got %v, want pending", err)
			}
		}
		pass(2 * time.Second)
		synctest.Wait()
		if woken != 1000 || j.trials != 1 {
			t.Errorf("%d woken by %d trials, want 1000 by 1", woken, j.trials)
		}
		if verdict, err := b.Try(request("eu-west-1"), login, pull, func() {}); err != nil || verdict.Result != providers.LoginRefused {
			t.Errorf("%+v, %v", verdict, err)
		}
		for name, c := range map[string]struct {
			login providers.Login
			pull  providers.Pull
		}{
			"another repository": {login, providers.Pull{Host: "registry.example", Repository: "b"}},
			"another token":      {providers.Login{Username: "u", Password: "q"}, pull},
		} {
			if _, err := b.Try(request("eu-west-1"), c.login, c.pull, func() {}); !isPending(err) {
				t.Errorf("%s: %v, want a trial of its own", name, err)
			}
		}
		pass(2 * time.Minute)
		if _, err := b.Try(request("eu-west-1"), login, pull, func() {}); !isPending(err) {
			t.Errorf("after two minutes: %v, want another trial", err)
		}
		pass(2 * time.Second)
		synctest.Wait()
	})
}

func isPending(err error) bool {
	_, pending := errors.AsType[*providers.PendingError](err)
	return pending
}

func TestTrialsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{err: providers.Errorf(v1alpha1.ReasonUnavailable, "down")}
		b := newBroker(t, j)
		pending, crowded := 0, 0
		for n := range 5000 {
			_, err := b.Try(request("eu-west-1"), providers.Login{Password: "p"}, providers.Pull{Host: "registry.example", Repository: fmt.Sprint(n)}, func() {})
			var failure *providers.Error
			switch {
			case isPending(err):
				pending++
			case errors.As(err, &failure) && failure.Reason == v1alpha1.ReasonThrottled && failure.RetryAfter > 0:
				crowded++
			default:
				t.Fatal(err)
			}
		}
		if pending != 32 || crowded != 5000-32 {
			t.Errorf("%d trials under way, %d sent away", pending, crowded)
		}
		pass(time.Minute)
		synctest.Wait()
		if j.trials > 32 {
			t.Errorf("%d trials at a registry that is down", j.trials)
		}
	})
}

func TestARefusedTokenIsMintedAnewOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		req := request("eu-west-1")
		first, err := ask(b, req, time.Time{})
		if err != nil || b.RefusedAt(req) != "" {
			t.Fatal(err)
		}
		if !b.Refuse(req, first.ExpiresAt) {
			t.Fatal("the first refusal does not count")
		}
		if _, ok := b.Held(req); ok {
			t.Error("the refused token is still handed out")
		}
		renewed := req
		if renewed.RefusedAt = b.RefusedAt(req); renewed.RefusedAt == "" || renewed.Source() != req.Source() || renewed.Key() == req.Key() {
			t.Errorf("refused at %q: the source must be the same, and the request another", renewed.RefusedAt)
		}
		second, err := ask(b, renewed, time.Time{})
		if err != nil || second.Logins[0].Password == first.Logins[0].Password {
			t.Errorf("the refused token came back: %v", err)
		}
		// Whoever asks as before gets no refused token either.
		if again, err := ask(b, req, time.Time{}); err != nil || again.Logins[0].Password == first.Logins[0].Password {
			t.Errorf("the refused token came back: %v", err)
		}
		if held, ok := b.Held(req); !ok || held.Logins[0].Password == first.Logins[0].Password {
			t.Error("the new token is not held")
		}
		if b.Refuse(req, second.ExpiresAt) {
			t.Error("a refusal within the minute counts")
		}
		pass(time.Minute)
		if !b.Refuse(req, second.ExpiresAt) || b.RefusedAt(req) == renewed.RefusedAt {
			t.Error("a refusal after the minute does not count")
		}
		pass(13 * time.Hour)
		if got := b.RefusedAt(req); got != "" {
			t.Errorf("refused at %s, after the end of the token", got)
		}
	})
}

func TestTheRefusalOfATokenWithoutEndIsForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, &fake{})
		b.Refuse(request("eu-west-1"), providers.Never)
		pass(23 * time.Hour)
		if b.RefusedAt(request("eu-west-1")) == "" {
			t.Error("forgotten within a day")
		}
		pass(2 * time.Hour)
		if got := b.RefusedAt(request("eu-west-1")); got != "" {
			t.Errorf("refused at %s, days later", got)
		}
	})
}
