package truce

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
	f := newFights(now)
	for n := range perMinute {
		if left, _ := f.Truce("a"); left != 0 {
			t.Fatalf("repair %d waits for %s", n, left)
		}
		f.Repaired("a", "argo")
		step(time.Second)
	}
	f.Repaired("a", "argo")
	want := first
	for range 10 {
		left, rival := f.Truce("a")
		if left != want || rival != "argo" {
			t.Errorf("a truce of %s with %q, want %s", left, rival, want)
		}
		step(left)
		if left, _ := f.Truce("a"); left != 0 {
			t.Errorf("%s are left after the truce", left)
		}
		f.Repaired("a", "argo")
		want = min(2*want, Longest)
	}
	if left, _ := f.Truce("b"); left != 0 || f.Fighting("b") || !f.Fighting("a") {
		t.Errorf("something else waits for %s", left)
	}
	step(peace)
	f.Repaired("a", "flux")
	if left, _ := f.Truce("a"); left != 0 {
		t.Errorf("%s are left after a time of peace", left)
	}
}

func TestARepairNowAndThenIsNoFight(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	f := newFights(now)
	for range 100 {
		f.Repaired("a", "")
		if left, _ := f.Truce("a"); left != 0 {
			t.Fatalf("it waits for %s", left)
		}
		now.SetTime(now.Now().Add(15 * time.Second))
	}
}

// newFights are over things whose names begin with their owner's.
func newFights(c clock.PassiveClock) *Fights[string] {
	return New(c, 10, 4, func(thing string) string {
		owner, _, _ := strings.Cut(thing, "/")
		return owner
	})
}

func TestTheFightsOfOneOwnerMakeNobodyElsesBeForgotten(t *testing.T) {
	f := newFights(clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)))
	f.Repaired("victim/a", "argo")
	for n := range 100 {
		f.Repaired(fmt.Sprint("mallory/", n), "mallory")
	}
	if !f.Fighting("victim/a") || !f.Fighting("mallory/99") || f.Fighting("mallory/0") {
		t.Error("a fight is forgotten for another's")
	}
}
