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
	holders map[ID]int
	looks   int
	revoked []string
	fails   error
	// woken are the tokens that are brought back, and after how long.
	woken map[ID]time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	w := &world{T: t, Reconciler: New(now), time: now, holders: map[ID]int{}, woken: map[ID]time.Duration{}}
	w.Held = func(id ID) bool {
		w.looks++
		return w.holders[id] > 0
	}
	w.Revoke = func(id string, done func(error)) {
		w.revoked = append(w.revoked, id)
		done(w.fails)
	}
	w.Wake = func(id ID, after time.Duration) { w.woken[id] = after }
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

func (w *world) ended(want ...string) {
	w.Helper()
	if !slices.Equal(w.revoked, want) {
		w.Errorf("revoked %v, want %v", w.revoked, want)
	}
}

func TestATokenIsRevokedWhenNoSecretHasHeldItForAWhile(t *testing.T) {
	w := newWorld(t)
	w.holders["a"] = 1
	w.Retired("", "a")
	if _, woken := w.woken["a"]; !woken {
		t.Error("nobody looks at it")
	}
	if after := w.run(); after != 0 {
		t.Errorf("looked at again after %s though the last Secret says when", after)
	}
	w.holders["a"] = 0
	w.Released("a")
	w.Released("never retired")
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
	w.Retired("", "a")
	w.run()
	if w.retired.Len() != 1 {
		t.Errorf("%d tokens", w.retired.Len())
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
		w.Retired("", "a")
		w.run()
		for range 2 * tries {
			w.step(c.after + grace)
			w.run()
			if after, woken := w.woken["a"]; woken && after != c.after {
				t.Errorf("%s: tried again after %s, want %s", name, after, c.after)
			}
		}
		if len(w.revoked) != c.tries || w.retired.Len() != 0 {
			t.Errorf("%s: tried %d times, want %d; %d are left", name, len(w.revoked), c.tries, w.retired.Len())
		}
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 2 * retiredHeld {
		w.Retired("", fmt.Sprint(n))
	}
	if got := w.retired.Len(); got != retiredHeld {
		t.Errorf("%d tokens", got)
	}
	w.step(retiredFor)
	if got := w.retired.Len(); got != 0 {
		t.Errorf("%d tokens, two days later", got)
	}
}

func TestTheTokensOfOneTenantMakeNobodyElsesBeForgotten(t *testing.T) {
	w := newWorld(t)
	w.Retired("", "cluster")
	w.Retired("neighbour", "theirs")
	for n := range 2 * retiredHeld {
		w.Retired("mallory", fmt.Sprint(n))
	}
	for _, id := range []ID{"cluster", "theirs"} {
		if _, waits := w.retired.Get(id); !waits {
			t.Errorf("%s is not revoked any more", id)
		}
	}
	if got := w.retired.Len(); got != retiredOfTenant+2 {
		t.Errorf("%d tokens wait", got)
	}
}
