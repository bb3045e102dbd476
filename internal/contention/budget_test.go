package contention

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestRepairsBecomeEverMoreRare(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	step := func(d time.Duration) { now.SetTime(now.Now().Add(d)) }
	b := newBudget(now)
	for n := range perMinute {
		if left, _ := b.Wait("a"); left != 0 {
			t.Fatalf("repair %d waits for %s", n, left)
		}
		b.Spend("a", "argo")
		step(time.Second)
	}
	b.Spend("a", "argo")
	want := firstWait
	for range 10 {
		left, rival := b.Wait("a")
		if left != want || rival != "argo" {
			t.Errorf("a wait of %s with %q, want %s", left, rival, want)
		}
		step(left)
		if left, _ := b.Wait("a"); left != 0 {
			t.Errorf("%s are left after the wait", left)
		}
		b.Spend("a", "argo")
		want = min(2*want, longestWait)
	}
	if left, _ := b.Wait("b"); left != 0 || b.Recent("b") || !b.Recent("a") {
		t.Errorf("something else waits for %s", left)
	}
	step(forgottenAfter)
	b.Spend("a", "flux")
	if left, _ := b.Wait("a"); left != 0 {
		t.Errorf("%s are left when it was forgotten", left)
	}
}

func TestARepairNowAndThenDoesNotWait(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	b := newBudget(now)
	for range 100 {
		b.Spend("a", "")
		if left, _ := b.Wait("a"); left != 0 {
			t.Fatalf("it waits for %s", left)
		}
		now.SetTime(now.Now().Add(15 * time.Second))
	}
}

// newBudget is for things whose names begin with their owner's.
func newBudget(c clock.PassiveClock) *Budget[string] {
	return New(c, 10, 4, func(thing string) string {
		owner, _, _ := strings.Cut(thing, "/")
		return owner
	})
}

func TestTheThingsOfOneOwnerMakeNobodyElsesBeForgotten(t *testing.T) {
	b := newBudget(clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)))
	b.Spend("victim/a", "argo")
	for n := range 100 {
		b.Spend(fmt.Sprint("mallory/", n), "mallory")
	}
	if !b.Recent("victim/a") || !b.Recent("mallory/99") || b.Recent("mallory/0") {
		t.Error("a thing is forgotten for another's")
	}
}
