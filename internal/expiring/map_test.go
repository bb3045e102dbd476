package expiring

import (
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func newMap(bound int) (*Map[string, int], *clocktesting.FakePassiveClock) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	return New[string, int](now, time.Minute, bound), now
}

func step(c *clocktesting.FakePassiveClock, d time.Duration) { c.SetTime(c.Now().Add(d)) }

func check(t *testing.T, m *Map[string, int], key string, want int, known bool) {
	t.Helper()
	if got, ok := m.Get(key); got != want || ok != known {
		t.Errorf("%s is %d, %t; want %d, %t", key, got, ok, want, known)
	}
}

func TestAValueIsForgottenAfterItsTime(t *testing.T) {
	m, now := newMap(10)
	m.Put("a", 1)
	step(now, time.Minute-time.Nanosecond)
	check(t, m, "a", 1, true)
	step(now, time.Nanosecond)
	check(t, m, "a", 0, false)
	if m.Len() != 0 {
		t.Errorf("%d values are left", m.Len())
	}
}

func TestPuttingAgainRemembersForLongerAndAskingDoesNot(t *testing.T) {
	m, now := newMap(10)
	m.Put("a", 1)
	m.Put("b", 1)
	step(now, 40*time.Second)
	m.Put("a", 2)
	check(t, m, "b", 1, true)
	step(now, 40*time.Second)
	check(t, m, "a", 2, true)
	check(t, m, "b", 0, false)
}

func TestWhatNobodyAsksForGoesToo(t *testing.T) {
	m, now := newMap(10)
	m.Put("a", 1)
	step(now, time.Hour)
	m.Put("b", 1)
	if len(m.items) != 1 || m.order.Len() != 1 {
		t.Errorf("%d keys and %d values are held, want one", len(m.items), m.order.Len())
	}
}

func TestAFullMapForgetsWhatWasPutLongestAgo(t *testing.T) {
	m, _ := newMap(2)
	m.Put("a", 1)
	m.Put("b", 2)
	m.Put("a", 3)
	m.Put("c", 4)
	check(t, m, "a", 3, true)
	check(t, m, "b", 0, false)
	check(t, m, "c", 4, true)
}

func TestAddKeepsWhatIsThereAndItsTime(t *testing.T) {
	m, now := newMap(10)
	if !m.Add("a", 1) {
		t.Error("the first was not added")
	}
	step(now, 40*time.Second)
	if m.Add("a", 2) {
		t.Error("the second was added")
	}
	check(t, m, "a", 1, true)
	step(now, 20*time.Second)
	if !m.Add("a", 3) {
		t.Error("nothing was added after the time of the first")
	}
}

func TestDeleteForgetsAtOnce(t *testing.T) {
	m, _ := newMap(10)
	m.Put("a", 1)
	m.Delete("a")
	m.Delete("never there")
	check(t, m, "a", 0, false)
}

func TestUpdatesAreAtomic(t *testing.T) {
	m, _ := newMap(10)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() { m.Update("a", func(n int, _ bool) int { return n + 1 }) })
	}
	group.Wait()
	check(t, m, "a", 100, true)
	if got := m.Update("b", func(_ int, known bool) int {
		if known {
			return 1
		}
		return 2
	}); got != 2 {
		t.Errorf("a key that is not there is said to be known")
	}
}
