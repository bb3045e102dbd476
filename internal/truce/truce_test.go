package truce

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestRepairsBecomeEverMoreRare(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	step := func(d time.Duration) { now.SetTime(now.Now().Add(d)) }
	f := New[string](now, 10)
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
	f := New[string](now, 10)
	for range 100 {
		f.Repaired("a", "")
		if left, _ := f.Truce("a"); left != 0 {
			t.Fatalf("it waits for %s", left)
		}
		now.SetTime(now.Now().Add(15 * time.Second))
	}
}
