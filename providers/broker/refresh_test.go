package broker_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestARefreshRequestGetsATokenThatWasMintedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		req := request("eu-west-1")
		first := must(t, b, req, time.Time{})
		pass(time.Hour)
		second := must(t, b, refreshing(req, "a"), time.Time{})
		if !second.IssuedAt.After(first.IssuedAt) {
			t.Error("the refresh request got the token from before it")
		}
		// Whoever shares the source, and whoever comes again with the same request, takes what there is.
		must(t, b, req, time.Time{})
		must(t, b, refreshing(req, "a"), first.IssuedAt)
		if got := p.calls.Load(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}

func TestTenThousandRefreshRequestsInAMinuteAreOneMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, latency: time.Second}
		b := newBroker(t, p)
		must(t, b, request("eu-west-1"), time.Time{})
		pass(time.Hour)
		for n := range 10_000 {
			_, _ = b.Token(refreshing(request("eu-west-1"), fmt.Sprint(n)), time.Time{}, func() {})
			pass(5 * time.Millisecond)
		}
		synctest.Wait()
		if got := p.calls.Load() - 1; got != 1 {
			t.Errorf("%d mints in 50 s, want 1", got)
		}
		pass(time.Minute)
		last := refreshing(request("eu-west-1"), "9999")
		must(t, b, last, time.Time{})
		must(t, b, last, time.Time{})
		if got := p.calls.Load() - 1; got != 2 {
			t.Errorf("%d mints when the last request was answered, want 2", got)
		}
		if got := sizes(t, b)["regcred_broker_slots"]; got != 1 {
			t.Errorf("%v slots for one source", got)
		}
	})
}

func TestTwoCredentialsThatShareASourceDoNotUndoEachOthersRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		for range 500 {
			for _, stamp := range []string{"one", "two"} {
				_, _ = ask(b, refreshing(request("eu-west-1"), stamp), time.Time{})
			}
			pass(10 * time.Second)
		}
		if got := p.calls.Load(); got > 2 {
			t.Errorf("%d mints for two refresh requests", got)
		}
	})
}
