package expiring

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// sharedMap is one whose keys begin with their owner's name.
func sharedMap(bound, share int) (*Map[string, int], *clocktesting.FakePassiveClock) {
	_, now := newMap(0)
	return Shared(now, time.Minute, bound, share, func(key string, _ int) string {
		owner, _, _ := strings.Cut(key, "/")
		return owner
	}), now
}

func TestWhoFillsAMapForgetsItsOwn(t *testing.T) {
	for name, share := range map[string]int{"by its share": 10, "by having most": 100} {
		t.Run(name, func(t *testing.T) {
			m, _ := sharedMap(20, share)
			m.Put("/cluster", 1)
			m.Put("victim/a", 2)
			m.Put("victim/b", 3)
			for n := range 1000 {
				m.Put(fmt.Sprint("mallory/", n), n)
			}
			check(t, m, "/cluster", 1, true)
			check(t, m, "victim/a", 2, true)
			check(t, m, "victim/b", 3, true)
			check(t, m, "mallory/999", 999, true)
			check(t, m, "mallory/0", 0, false)
			if want := min(share+3, 20); m.Len() != want {
				t.Errorf("%d values are held, want %d", m.Len(), want)
			}
		})
	}
}

func TestAllOwnersTogetherAreBoundedAndWhoIsNewHasRoom(t *testing.T) {
	m, _ := sharedMap(10, 4)
	for n := range 5 {
		m.Put(fmt.Sprint("/", n), n)
	}
	for n := range 100 {
		m.Put(fmt.Sprintf("owner-%d/a", n), n)
		check(t, m, fmt.Sprintf("owner-%d/a", n), n, true)
	}
	for n := range 5 {
		check(t, m, fmt.Sprint("/", n), n, true)
	}
	if m.Len() != 10 || len(m.shares.owners) != 6 || len(m.shares.ranked) != 6 {
		t.Errorf("%d values of %d owners are held", m.Len(), len(m.shares.owners))
	}
	for n := range 20 { // whoever has no name may fill it all
		m.Put(fmt.Sprint("/", n), n)
	}
	if m.Len() != 10 || len(m.shares.owners) != 1 {
		t.Errorf("%d values of %d owners are held", m.Len(), len(m.shares.owners))
	}
}

func TestOfAnOwnerThatIsForgottenNothingIsLeft(t *testing.T) {
	m, now := sharedMap(10, 4)
	m.Put("a/1", 1)
	m.Put("a/2", 2)
	m.Put("b/1", 1)
	m.Put("a/1", 3) // once more, and so last
	m.Delete("b/1")
	step(now, 30*time.Second)
	m.Update("a/2", func(n int, _ bool) int { return n + 1 })
	check(t, m, "a/2", 3, true)
	step(now, 30*time.Second)
	check(t, m, "a/1", 0, false)
	step(now, time.Minute)
	if m.Len() != 0 || len(m.shares.owners) != 0 || len(m.shares.ranked) != 0 {
		t.Errorf("%d owners are left", len(m.shares.owners))
	}
}

func BenchmarkAPutIntoAFullMapOfTenThousandOwners(b *testing.B) {
	m, _ := sharedMap(10_000, 100)
	keys := make([]string, 20_000)
	for n := range keys {
		keys[n] = fmt.Sprintf("owner-%d/a", n)
		m.Put(keys[n], n)
	}
	n := 0
	for b.Loop() {
		m.Put(keys[n%len(keys)], n)
		n++
	}
}
