package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
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
			_, _ = b.Token(refreshing(request("eu-west-1"), fmt.Sprint(n)), time.Time{}, nil)
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

func TestTheFirstRefreshRequestDoesNotWaitForTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		must(t, b, request("eu-west-1"), time.Time{})
		pass(time.Second)
		must(t, b, refreshing(request("eu-west-1"), "a"), time.Time{})
		pass(time.Second)
		_, err := ask(b, refreshing(request("eu-west-1"), "b"), time.Time{})
		if wait := early(t, err); wait > time.Minute {
			t.Errorf("the second waits for %s", wait)
		}
		for n := range 100_000 {
			_, _ = ask(b, refreshing(request("eu-west-1"), fmt.Sprint(n)), time.Time{})
			pass(6 * time.Millisecond)
		}
		if got := p.calls.Load(); got > 2+10 {
			t.Errorf("%d mints in ten minutes", got)
		}
	})
}

func TestARefreshRequestIsTriedAtOnceAfterAFailure(t *testing.T) {
	for reason, because := range map[string]*providers.Error{
		v1alpha1.ReasonVerificationFailed: providers.Errorf(v1alpha1.ReasonVerificationFailed, "may not pull"),
		v1alpha1.ReasonInvalidRequest:     {Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errors.New("no such role")},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &fake{life: 12 * time.Hour, err: because}
			b := newBroker(t, p)
			_, err := ask(b, request("eu-west-1"), time.Time{})
			_ = failure(t, err, reason)
			pass(time.Second)
			_, err = ask(b, request("eu-west-1"), time.Time{})
			if _ = failure(t, err, reason); p.calls.Load() != 1 {
				t.Error("somebody who asks for nothing new is not patient")
			}
			_, err = ask(b, refreshing(request("eu-west-1"), "too early"), time.Time{})
			if _ = failure(t, err, reason); p.calls.Load() != 2 {
				t.Error("it is not tried at once")
			}
			pass(time.Second)
			p.err = nil
			_, err = ask(b, refreshing(request("eu-west-1"), "mended"), time.Time{})
			if wait := failure(t, err, reason).RetryAfter; wait > time.Minute {
				t.Errorf("%s: the next refresh request waits for %s", reason, wait)
			} else {
				pass(wait)
			}
			must(t, b, refreshing(request("eu-west-1"), "mended"), time.Time{})
		})
	}
}

func TestRefreshRequestsOfWhatFailsAreOneCallAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: providers.Errorf(v1alpha1.ReasonVerificationFailed, "may not pull")}
		b := newBroker(t, p)
		for n := range 10_000 {
			_, _ = ask(b, refreshing(request("eu-west-1"), fmt.Sprint(n)), time.Time{})
			pass(60 * time.Millisecond)
		}
		if got := p.calls.Load(); got > 10 {
			t.Errorf("%d calls in ten minutes", got)
		}
	})
}

func TestARefreshRequestWaitsAsTheCloudHasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: 10 * time.Minute, Err: errors.New("slow down")}}
		b := newBroker(t, p)
		_, err := ask(b, request("eu-west-1"), time.Time{})
		_ = failure(t, err, v1alpha1.ReasonThrottled)
		pass(5 * time.Minute)
		_, err = ask(b, refreshing(request("eu-west-1"), "a"), time.Time{})
		if _ = failure(t, err, v1alpha1.ReasonThrottled); p.calls.Load() != 1 {
			t.Error("the cloud has asked for more patience")
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

func TestATokenIsReadyIfItIsThereAndAnswersTheRefreshRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		req, asked := request("eu-west-1"), refreshing(request("eu-west-1"), "a")
		ready := func(what string, want bool, req providers.Request, newerThan time.Time) {
			t.Helper()
			if got := b.Ready(req, newerThan); got != want {
				t.Errorf("%s: ready %t, want %t", what, got, want)
			}
			synctest.Wait()
		}
		ready("before the first", false, req, time.Time{})
		first := must(t, b, req, time.Time{})
		ready("the first", true, req, time.Time{})
		ready("the next", false, req, first.IssuedAt)
		pass(time.Hour)
		ready("a request that nobody has made yet", false, asked, time.Time{})
		must(t, b, asked, time.Time{})
		ready("its answer", true, asked, time.Time{})
		ready("another request", false, refreshing(req, "b"), time.Time{})
		if got := p.calls.Load(); got != 2 {
			t.Errorf("%d calls, want 2: to look costs none", got)
		}
	})
}
