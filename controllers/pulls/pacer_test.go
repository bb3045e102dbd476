package pulls

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/controllers/diagnosis"
)

// flood is how many pods of one namespace fail at once.
const flood = 5000

func TestANamespaceThatFloodsALaneDelaysNoOther(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakePassiveClock(now)
	for name, c := range map[string]struct {
		pacer *pacer
		// at least and most is when the flood is over: a part of the pace is its own.
		most time.Duration
	}{
		"reads of pods": {newFailing(clock).pods, shares * flood * time.Second / podsPerSecond},
		"evictions":     {newEvictions(clock).pacer, shares * flood * evictionSpacing},
	} {
		var last ticket
		for range flood {
			last = ticket{}
			c.pacer.wait(&last, "bad", now)
		}
		if got := last.own.Sub(now); got > c.most {
			t.Errorf("%s: the flood takes %s, want %s at most", name, got, c.most)
		}
		if wait := c.pacer.wait(&ticket{}, "good", now); wait > time.Second {
			t.Errorf("%s: a neighbour waits %s behind the flood", name, wait)
		}
	}
}

// All namespaces together have no more turns than the pace allows.
func TestNamespacesShareALane(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	l := newPacer(clocktesting.NewFakePassiveClock(now), time.Second, 1)
	var last time.Duration
	for n := range 100 {
		last = l.wait(&ticket{}, fmt.Sprint(n), now)
	}
	if last != 99*time.Second {
		t.Errorf("the hundredth waits %s, want 99s", last)
	}
}

func TestATicketKeepsItsPlace(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	l := newPacer(clocktesting.NewFakePassiveClock(now), time.Second, 1)
	l.wait(&ticket{}, "a", now)
	var second ticket
	wait := l.wait(&second, "a", now)
	if again := l.wait(&second, "a", now); wait != shares*time.Second || again != wait {
		t.Errorf("waits %s, then %s", wait, again)
	}
	if left := l.wait(&second, "a", now.Add(wait)); left != 0 {
		t.Errorf("waits %s longer when its turn has come", left)
	}
}

func TestANamespaceThatFloodsLeavesRoomForTheFailuresOfOthers(t *testing.T) {
	f := newFailing(clocktesting.NewFakePassiveClock(time.Now()))
	for n := range 2 * failingAtOnce {
		f.admit(diagnosis.FailedPull{Namespace: "bad", Pod: fmt.Sprint(n)})
	}
	good := diagnosis.FailedPull{Namespace: "good", Pod: "app"}
	if !f.admit(good) {
		t.Fatal("a neighbour's failure is dropped")
	}
	for p := range f.open {
		f.close(p)
	}
	if len(f.of) != 0 {
		t.Errorf("%d namespaces are counted when nothing is open", len(f.of))
	}
}

func TestAClaimThatComesToNothingIsGivenBack(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	e, owner := newEvictions(clock), workload{"a", "owner"}
	if !e.claim(owner, clock.Now()) || e.claim(owner, clock.Now()) {
		t.Fatal("one claim of an owner is to be had, and no other")
	}
	if e.recreated(owner, clock.Now(), clock.Now()) {
		t.Error("a claim is taken for an eviction")
	}
	if e.giveBack(owner); !e.claim(owner, clock.Now()) {
		t.Error("a claim that came to nothing is kept")
	}
	e.settle(owner, true, clock.Now())
	if e.giveBack(owner); e.claim(owner, clock.Now()) {
		t.Error("an eviction is given back")
	}
	if later := clock.Now().Add(evictAgain); !e.claim(owner, later) {
		t.Error("no eviction ten minutes later")
	}
}
