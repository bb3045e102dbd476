package revoke

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// world is a Reconciler, the Secrets that it sees, and a cloud.
type world struct {
	*testing.T
	*Reconciler
	time *clocktesting.FakePassiveClock
	// holders are how many Secrets hold a token.
	holders map[providers.TokenName]int
	looks   int
	revoked []providers.TokenName
	fails   error
	// woken are the tokens that are brought back, and after how long.
	woken map[providers.TokenName]time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	w := &world{T: t, Reconciler: &Reconciler{Clock: now, Retired: NewRetired(now)}, time: now, holders: map[providers.TokenName]int{}, woken: map[providers.TokenName]time.Duration{}}
	w.InUse = func(name providers.TokenName) bool {
		w.looks++
		return w.holders[name] > 0
	}
	w.Revoke = func(name providers.TokenName, done func(error)) {
		w.revoked = append(w.revoked, name)
		done(w.fails)
	}
	w.Retired.wake = func(name providers.TokenName, after time.Duration) { w.woken[name] = after }
	return w
}

func (w *world) run() time.Duration {
	w.Helper()
	delete(w.woken, "a")
	result, err := w.Reconcile(w.Context(), "a")
	if err != nil {
		w.Fatal(err)
	}
	return result.RequeueAfter
}

func (w *world) step(d time.Duration) { w.time.SetTime(w.time.Now().Add(d)) }

func (w *world) ended(want ...providers.TokenName) {
	w.Helper()
	if !slices.Equal(w.revoked, want) {
		w.Errorf("revoked %v, want %v", w.revoked, want)
	}
}

func TestATokenIsRevokedWhenNoSecretHasHeldItForAWhile(t *testing.T) {
	w := newWorld(t)
	w.holders["a"] = 1
	w.Retired.Retire("", "a")
	if _, woken := w.woken["a"]; !woken {
		t.Error("nobody looks at it")
	}
	if after := w.run(); after != 0 {
		t.Errorf("looked at again after %s though the last Secret says when", after)
	}
	w.holders["a"] = 0
	w.Retired.Release("a")
	w.Retired.Release("never retired")
	if _, woken := w.woken["a"]; !woken || len(w.woken) != 1 {
		t.Errorf("woken: %v", w.woken)
	}
	if after := w.run(); after != grace {
		t.Errorf("looked at again after %s, want %s: it may be on its way into a Secret", after, grace)
	}
	// A Secret got it at the last moment.
	w.holders["a"] = 1
	w.step(grace)
	w.run()
	w.ended()
	w.holders["a"] = 0
	w.run()
	w.ended()
	w.step(grace)
	w.run()
	w.run()
	w.ended("a")
	w.Retired.Retire("", "a")
	w.run()
	if w.Retired.tokens.Len() != 1 {
		t.Errorf("%d tokens", w.Retired.tokens.Len())
	}
}

func TestATokenThatWasNotRetiredIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.step(time.Hour)
	w.run()
	if w.ended(); w.looks != 0 {
		t.Errorf("%d looks", w.looks)
	}
}

func TestARevocationThatFailsIsTriedAgainAFewTimes(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int
		after time.Duration
	}{
		"unavailable": {providers.Errorf(v1alpha1.ReasonUnavailable, "down"), tries, grace},
		"told when":   {&providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: time.Hour, Err: errors.New("slow down")}, tries, time.Hour},
		"in vain":     {&providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errors.New("no")}, 1, 0},
	} {
		w := newWorld(t)
		w.fails = c.err
		w.Retired.Retire("", "a")
		w.run()
		for range 2 * tries {
			w.step(c.after + grace)
			w.run()
			if after, woken := w.woken["a"]; woken && after != c.after {
				t.Errorf("%s: tried again after %s, want %s", name, after, c.after)
			}
		}
		if len(w.revoked) != c.tries || w.Retired.tokens.Len() != 0 {
			t.Errorf("%s: tried %d times, want %d; %d are left", name, len(w.revoked), c.tries, w.Retired.tokens.Len())
		}
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 2 * maxRetired {
		w.Retired.Retire("", providers.TokenName(fmt.Sprint(n)))
	}
	if got := w.Retired.tokens.Len(); got != maxRetired {
		t.Errorf("%d tokens", got)
	}
	w.step(retiredFor)
	if got := w.Retired.tokens.Len(); got != 0 {
		t.Errorf("%d tokens, two days later", got)
	}
}

func TestTheTokensOfOneTenantMakeNobodyElsesBeForgotten(t *testing.T) {
	w := newWorld(t)
	w.Retired.Retire("", "cluster")
	w.Retired.Retire("neighbour", "theirs")
	for n := range 2 * maxRetired {
		w.Retired.Retire("mallory", providers.TokenName(fmt.Sprint(n)))
	}
	for _, id := range []providers.TokenName{"cluster", "theirs"} {
		if _, waits := w.Retired.tokens.Get(id); !waits {
			t.Errorf("%s is not revoked any more", id)
		}
	}
	if got := w.Retired.tokens.Len(); got != retiredOfTenant+2 {
		t.Errorf("%d tokens wait", got)
	}
}
