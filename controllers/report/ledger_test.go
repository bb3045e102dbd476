package report

import (
	"runtime"
	"sync"
	"testing"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
)

// What is done in one book takes as long as its credential has targets. With one lock for all, this never ends.
func TestABookThatIsInUseHoldsUpNoOther(t *testing.T) {
	b := newBookkeeper()
	b.holds("a", false, metricsStart, "registry.example.com")
	other := b.Ledger.open(credential.Key{Name: "other"}, metricsStart)
	defer other.Unlock()
	b.report("b", target.Outcome{Failure: notServed})
	if s := b.Ledger.sum(b.c, []string{"a", "b"}, metricsStart); s.selected != 2 || s.unheard != 0 {
		t.Errorf("of %d targets, %d were not heard of", s.selected, s.unheard)
	}
	b.Ledger.PullFailed(credential.Key{}, "cause")
}

// A credential may be gone, and be there again, while somebody waits for its book.
func TestNothingIsWrittenIntoABookThatIsClosed(t *testing.T) {
	l, key := newBookkeeper().Ledger, credential.Key{Name: "again"}
	for range 1000 {
		b := l.open(key, metricsStart)
		var waiting sync.WaitGroup
		waiting.Go(func() { l.Linked(key, link.Changes{Made: 1}) })
		for range 100 { // so that it does wait, as a rule
			runtime.Gosched()
		}
		l.close(key, b)
		b.Unlock()
		waiting.Wait()
		next := l.enter(key)
		if next == nil || next.links.Made != 1 {
			t.Fatal("it is written into the book of one that is gone")
		}
		l.close(key, next)
		next.Unlock()
	}
}

// What a book says while another writes into it is undefined.
func TestTargetsAreCountedByWhoHasTheBook(t *testing.T) {
	for range 100 {
		l, key := newBookkeeper().Ledger, credential.Key{Name: "counted"}
		b := l.open(key, metricsStart)
		var counting sync.WaitGroup
		counting.Go(func() {
			if n := l.known(key); n != 1 {
				t.Errorf("%d targets are known while one is written down", n)
			}
		})
		for range 100 { // so that it does wait, as a rule
			runtime.Gosched()
		}
		b.targets["team-a"] = standing{}
		b.Unlock()
		counting.Wait()
	}
}
