package broker_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

func TestASourceIsKeptAsLongAsACredentialNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		mine, shared, nobodys := entry("a", "eu-west-1", 1), entry("a", "eu-west-1", 2), entry("a", "eu-west-1", 3)
		b.SetSources(ownerIn("a/one"), []string{mine.Source(), shared.Source()})
		b.SetSources(ownerIn("a/two"), []string{shared.Source()})
		for _, req := range []providers.Request{mine, shared, nobodys} {
			must(t, b, req, time.Time{})
		}
		pass(30 * time.Minute)
		b.SetSources(ownerIn("elsewhere"), []string{"x"}) // time goes by with something to do
		held := func(want ...bool) {
			t.Helper()
			for i, req := range []providers.Request{mine, shared, nobodys} {
				if _, ok := b.InMemory(req); ok != want[i] {
					t.Errorf("source %d is held: %t", i, ok)
				}
			}
		}
		held(true, true, false)
		b.SetSources(ownerIn("a/one"), nil)
		held(false, true, false)
		b.SetSources(ownerIn("a/two"), nil)
		held(false, false, false)
		if got := sizes(t, b); got["regcred_broker_slots"] != 1 || got["regcred_broker_token_bytes"] != 0 {
			t.Errorf("left: %v", got)
		}
	})
}

func TestManyVersionsOfAnIdentityAreOneSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 1000 * time.Hour, change: func(token *providers.Token) {
			token.Logins[0].Password += providers.Sensitive(strings.Repeat("x", 10_000))
		}}
		b := newBroker(t, p)
		for n := range 10_000 {
			req := request("eu-west-1")
			req.Identity.Secret = &providers.Secret{Namespace: "a", Name: "keys", DataHash: fmt.Sprint(n)}
			req = req.Sealed()
			b.SetSources(ownerIn("a/one"), []string{req.Source()})
			must(t, b, req, time.Time{})
		}
		got := sizes(t, b)
		if got["regcred_broker_slots"] != 1 || got["regcred_broker_tokens"] != 1 || got["regcred_broker_token_bytes"] > 11_000 {
			t.Errorf("left: %v", got)
		}
	})
}

func TestASourceThatComesBackWhileItsCallIsUnderWayHasOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, latency: time.Second}
		b := newBroker(t, p)
		req := request("eu-west-1").Sealed()
		b.SetSources(ownerIn("a"), []string{req.Source()})
		_, _ = b.Token(req, time.Time{}, nil)
		for range 10 {
			b.SetSources(ownerIn("a"), nil)
			b.SetSources(ownerIn("a"), []string{req.Source()})
			_, _ = b.Token(req, time.Time{}, nil)
		}
		pass(2 * time.Second)
		if _, ok := b.InMemory(req); !ok || p.calls.Load() != 1 {
			t.Errorf("%d calls, held: %t", p.calls.Load(), ok)
		}
		b.SetSources(ownerIn("a"), nil)
		if got := sizes(t, b)["regcred_broker_slots"]; got != 0 {
			t.Errorf("%v slots are left", got)
		}
	})
}

func TestACallThatNobodyNeedsAnyMoreIsNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, latency: time.Minute}
		b := newBroker(t, p)
		var woken atomic.Int32
		for n := range 1000 {
			req := entry("a", "eu-west-1", n)
			b.SetSources(ownerIn("a/restless"), []string{req.Source()})
			_, _ = b.Token(req, time.Time{}, waking(func() { woken.Add(1) }))
		}
		b.SetSources(ownerIn("a/restless"), nil)
		pass(time.Hour)
		if made := p.calls.Load(); made > 32 {
			t.Errorf("%d calls were made, of which the endpoint takes 32 at once", made)
		}
		if got := sizes(t, b); got["regcred_broker_slots"] != 0 || got["regcred_broker_waiting_calls"] != 0 {
			t.Errorf("left: %v", got)
		}
		if n := woken.Load(); n != 1000 {
			t.Errorf("%d of 1,000 who waited were woken", n)
		}
	})
}

// suspending has calls of a credential, and of one of another tenant that names a source of its, wait, and suspends the first.
func suspending(t *testing.T, p *fake) (b *broker.Broker, sources []string, shared providers.Request, woken *atomic.Int32) {
	t.Helper()
	b, woken = newBroker(t, p), &atomic.Int32{}
	for n := range 1000 {
		req := entry("a", "eu-west-1", n)
		sources = append(sources, req.Source())
		_, _ = b.Token(req, time.Time{}, waking(func() { woken.Add(1) }))
	}
	shared = entry("a", "eu-west-1", 999)
	b.SetSources(ownerIn("a/restless"), sources)
	b.SetSources(ownerIn("b/steady"), []string{shared.Source()})
	b.Suspend(ownerIn("a/restless"))
	b.Suspend(ownerIn("a/restless"))
	return b, sources, shared, woken
}

func TestWhatOnlySuspendedCredentialsWaitForIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, latency: 20 * time.Second}
		b, _, shared, woken := suspending(t, p)
		pass(10 * time.Minute)
		if made := p.calls.Load(); made > 33 {
			t.Errorf("%d calls were made, of which the endpoint takes 32 at once, and another credential wants one", made)
		}
		if _, held := b.InMemory(shared); !held {
			t.Error("what another credential names is not called, either")
		}
		if n, slots := woken.Load(), sizes(t, b)["regcred_broker_slots"]; n != 1000 || slots != 1000 {
			t.Errorf("%d of 1,000 who waited were woken, %v slots are kept", n, slots)
		}
		b.Suspend(ownerIn("b/steady"))
		b.SetSources(ownerIn("b/steady"), nil)
		b.SetSources(ownerIn("a/restless"), nil)
		if slots := sizes(t, b)["regcred_broker_slots"]; slots != 0 {
			t.Errorf("%v slots are left of credentials that are gone", slots)
		}
	})
}

func TestACredentialThatGoesOnHasItsCallsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, latency: 20 * time.Second}
		b, sources, shared, _ := suspending(t, p)
		b.SetSources(ownerIn("a/restless"), sources)
		_, err := b.Token(shared, time.Time{}, nil)
		b.SetSources(ownerIn("b/steady"), nil) // which is not the only one that wants it
		pass(10 * time.Minute)
		if _, held := b.InMemory(shared); !isPending(err) || !held {
			t.Errorf("it asks again, and has %v, and later a token %t", err, held)
		}
	})
}

func TestARefreshRequestThatWasSuspendedIsStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{latency: 20 * time.Second, err: &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errors.New("no")}}
		b := newBroker(t, p)
		req := entry("a", "eu-west-1", 0)
		b.SetSources(ownerIn("a"), []string{req.Source()})
		if _, err := ask(b, req, time.Time{}); failure(t, err, v1alpha1.ReasonInvalidRequest).RetryAfter < time.Hour {
			t.Fatal("it is tried again too soon to tell who asked")
		}
		for n := range 32 { // which take all places
			_, _ = b.Token(entry("", "eu-west-1", n), time.Time{}, nil)
		}
		pass(2 * time.Second)
		calls := p.calls.Load()
		_, _ = b.Token(refreshing(req, "now"), time.Time{}, nil)
		b.Suspend(ownerIn("a"))
		b.SetSources(ownerIn("a"), []string{req.Source()})
		pass(2 * time.Minute)
		if _, err := b.Token(refreshing(req, "now"), time.Time{}, nil); !isPending(err) || p.calls.Load() != calls {
			t.Errorf("after %d calls: %v", p.calls.Load()-calls, err)
		}
	})
}

func TestOneNamespaceFillsNoMoreThanItsShareOfTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, change: func(token *providers.Token) {
			token.Logins[0].Password += providers.Sensitive(strings.Repeat("x", 1000))
		}}
		b := with(t, p, broker.Options{Bytes: 100_000})
		for n := range 50 {
			must(t, b, entry("attacker", "eu-west-1", n), time.Time{})
		}
		if got := sizes(t, b)["regcred_broker_token_bytes"]; got > 25_000 {
			t.Errorf("%v bytes of 100,000", got)
		}
		if _, ok := b.InMemory(entry("attacker", "eu-west-1", 49)); !ok {
			t.Error("the token that was minted last is gone")
		}
	})
}

func TestTheBytesInMemoryAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, change: func(token *providers.Token) {
			token.Logins[0].Password += providers.Sensitive(strings.Repeat("x", 1000))
		}}
		b := with(t, p, broker.Options{Bytes: 100_000})
		victim, admin := entry("victim", "eu-west-1", 0), entry("", "eu-west-1", 0)
		must(t, b, victim, time.Time{})
		must(t, b, admin, time.Time{})
		// Nobody's share is too large, and yet all of them are.
		attack := func(n int) providers.Request { return entry(fmt.Sprintf("attacker-%d", n%8), "eu-west-1", n) }
		for n := range 1000 {
			must(t, b, attack(n), time.Time{})
			if got := sizes(t, b)["regcred_broker_token_bytes"]; got > 102_000 {
				t.Fatalf("%v bytes after %d tokens", got, n)
			}
		}
		for _, req := range []providers.Request{victim, admin} {
			if _, ok := b.InMemory(req); !ok {
				t.Errorf("%q lost its token to those who have a hundred", req.Tenant)
			}
		}
		if _, ok := b.InMemory(attack(999)); !ok {
			t.Error("the token that was minted last is gone")
		}
		if _, ok := b.InMemory(attack(0)); ok {
			t.Error("the token that was asked for least recently stays")
		}
		// What was dropped is minted again for whoever needs its bytes.
		must(t, b, attack(0), time.Time{})
	})
}

func TestWhatIsReadAndNotMintedIsNotHoarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{change: func(token *providers.Token) {
			token.Copied, token.ExpiresAt, token.Logins[0].Password = true, providers.Never, "same"
		}}
		b := newBroker(t, p)
		req := request("eu-west-1").Sealed()
		b.SetSources(ownerIn("a"), []string{req.Source()})
		first := must(t, b, req, time.Time{})
		must(t, b, req, time.Time{})
		pass(3 * time.Minute)
		if got := sizes(t, b); got["regcred_broker_token_bytes"] != 0 || got["regcred_broker_slots"] != 1 {
			t.Errorf("left: %v", got)
		}
		again := must(t, b, req, time.Time{})
		if p.calls.Load() != 2 || !again.IssuedAt.Equal(first.IssuedAt) {
			t.Errorf("%d reads; the second seems to be of %v, the first of %v", p.calls.Load(), again.IssuedAt, first.IssuedAt)
		}
	})
}

func TestForgettingCostsLittleAmongManySources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		var sources []string
		for n := range 10_000 {
			req := entry("a", fmt.Sprintf("region-%d", n/10), n)
			sources = append(sources, req.Source())
			_, _ = b.Token(req, time.Time{}, nil)
		}
		for chunk := range slices.Chunk(sources, 16) {
			b.SetSources(ownerIn(chunk[0]), chunk)
		}
		pass(20 * time.Minute)
		synctest.Wait()
		one := entry("a", "region-1", 10)
		allocated := testing.AllocsPerRun(1000, func() { _, _ = b.Token(one, time.Time{}, nil) })
		if allocated > 1 {
			t.Errorf("%v allocations for a token in memory", allocated)
		}
		for chunk := range slices.Chunk(sources, 16) {
			b.SetSources(ownerIn(chunk[0]), nil)
		}
		if got := sizes(t, b)["regcred_broker_slots"]; got != 0 {
			t.Errorf("%v slots are left", got)
		}
		runtime.KeepAlive(b)
	})
}

func BenchmarkATokenInMemoryAmongTenThousandSources(b *testing.B) {
	p := &fake{life: 12 * time.Hour}
	o := broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": p}}
	all := broker.New(b.Context(), o)
	var last providers.Request
	for n := range 10_000 {
		last = entry("a", fmt.Sprintf("region-%d", n/10), n)
		_, _ = ask(all, last, time.Time{})
	}
	for b.Loop() {
		_, _ = all.Token(last, time.Time{}, nil)
	}
}
