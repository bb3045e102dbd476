package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/regcred/regcred/controllers/target"
)

// books are those of a credential with so many targets.
func books(n int) (b *bookkeeper, selected []string) {
	b = newBookkeeper()
	for i := range n {
		namespace := fmt.Sprintf("team-%05d", i)
		selected = append(selected, namespace)
		b.holds(namespace, false, metricsStart, "registry.example.com")
	}
	return b, selected
}

func TestAStatusTakesNoMemoryForEachTarget(t *testing.T) {
	allocations := func(n int) float64 {
		b, selected := books(n)
		return testing.AllocsPerRun(1, func() { b.Ledger.sum(b.c, selected, metricsStart) })
	}
	if few, many := allocations(10), allocations(1000); many > few+2 {
		t.Errorf("%.0f allocations for 1,000 targets, %.0f for 10", many, few)
	}
}

// BenchmarkStatus is what one status of a credential with so many targets costs, which is once for a burst of their events, and what one of these
// events costs.
func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		books, selected := books(n)
		b.Run(fmt.Sprintf("status/targets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				books.Ledger.sum(books.c, selected, metricsStart)
			}
		})
		b.Run(fmt.Sprintf("event/targets=%d", n), func(b *testing.B) {
			e := entryHolding("prod", 12*time.Hour, 5*time.Hour)
			e.Record.Hosts = []string{"registry.example.com"}
			b.ReportAllocs()
			for b.Loop() {
				books.report("team-00000", target.Outcome{Entries: []*target.EntryState{e}})
			}
		})
	}
}

func TestABurstOfManyTargetsIsNotSummedUpAllTheTime(t *testing.T) {
	for n, want := range map[int]time.Duration{999: 0, 10_000: 2 * time.Second} {
		b, selected := books(n)
		b.Ledger.sum(b.c, selected, metricsStart)
		if got := b.Ledger.pause(b.c.Key, metricsStart); got != want {
			t.Errorf("%d targets are not summed up again for %s, want %s", n, got, want)
		}
		if got := b.Ledger.pause(b.c.Key, metricsStart.Add(want)); got > 0 {
			t.Errorf("%d targets wait for another %s after that", n, got)
		}
		if got := b.Ledger.pause(b.c.Key, metricsStart.Add(-time.Hour)); got != 0 {
			t.Errorf("when the clock is set back, %d targets wait for %s", n, got)
		}
	}
}
