package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// askMany asks for many tokens of a tenant at once.
func askMany(b interface {
	Token(providers.Request, time.Time, providers.Waiter) (providers.Token, error)
}, tenant string, n int) {
	for i := range n {
		_, _ = b.Token(entry(tenant, "eu-west-1", i), time.Time{}, nil)
	}
	synctest.Wait()
}

func TestCallsToOneEndpointAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		askMany(b, "", 120)
		if got := p.calls.Load(); got != 16 {
			t.Errorf("%d calls at once, want a burst of 20 without the 4 that are kept for others", got)
		}
		if must(t, b, request("us-east-1"), time.Time{}); p.calls.Load() != 17 {
			t.Error("another endpoint waits for its turn behind this one")
		}
		pass(10 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got != 117 {
			t.Errorf("%d calls after 10 s, want 100 more: 10 a second after the burst", got)
		}
	})
}

func TestSixteenThousandFailingEntriesOfATenantDelayNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, err: providers.Errorf(v1alpha1.ReasonAccessDenied, "no")}
		b := newBroker(t, p)
		askMany(b, "attacker", 16_000)
		for range 20 {
			start := time.Now()
			_, err := ask(b, entry(fmt.Sprint("victim", start), "eu-west-1", 0), time.Time{})
			_ = failure(t, err, v1alpha1.ReasonAccessDenied)
			if waited := time.Since(start); waited > 0 {
				t.Errorf("a first token waits %s behind somebody else's", waited)
			}
			pass(250 * time.Millisecond)
		}
		pass(200 * time.Second)
		if got := p.of("attacker"); got < 1500 {
			t.Errorf("%d calls of the others in 200 s: nobody uses the turns that are left", got)
		}
	})
}

func TestManyTenantsGetTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		for _, tenant := range []string{"a", "b", "", "c"} {
			askMany(b, tenant, 1000)
		}
		before := map[string]int{}
		for _, tenant := range []string{"a", "b", "", "c"} {
			before[tenant] = p.of(tenant)
		}
		pass(40 * time.Second)
		synctest.Wait()
		for tenant, n := range before {
			if got := p.of(tenant) - n; got < 99 || got > 101 {
				t.Errorf("%d of 400 calls are %q's", got, tenant)
			}
		}
	})
}

func TestTheMostUrgentOfATenantGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		for n := range 1000 {
			req := entry("a", "eu-west-1", n)
			req.Urgency = -n
			_, _ = b.Token(req, time.Time{}, nil)
		}
		synctest.Wait()
		urgent := entry("a", "eu-west-1", 5000)
		urgent.Urgency = 1
		start := time.Now()
		if must(t, b, urgent, time.Time{}); time.Since(start) > 300*time.Millisecond {
			t.Errorf("the most urgent one waited %s", time.Since(start))
		}
		// One that waits already becomes urgent.
		late := entry("a", "eu-west-1", 999)
		late.Urgency = 1
		if must(t, b, late, time.Time{}); time.Since(start) > 600*time.Millisecond {
			t.Errorf("one that became urgent waited %s", time.Since(start))
		}
	})
}

func TestASourceThatTwoTenantsShareIsMintedInTheFirstTurnOfAnyOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		askMany(b, "attacker", 2000)
		shared := entry("attacker", "eu-west-1", 1999) // the last in that lane
		shared.Tenant = "victim"
		start := time.Now()
		if must(t, b, shared, time.Time{}); time.Since(start) > 300*time.Millisecond {
			t.Errorf("it waited %s in the other's lane", time.Since(start))
		}
	})
}

func TestAHungEndpointHoldsFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{latency: -1}
		b := newBroker(t, p)
		askMany(b, "", 200)
		pass(29 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got != 32 {
			t.Errorf("%d calls are under way, want 32 at most", got)
		}
		pass(20 * time.Second)
		synctest.Wait()
		if got := p.calls.Load(); got > 32+5 {
			t.Errorf("%d calls to an endpoint that never answers: it gets no rest", got)
		}
	})
}

func TestATenantTakesHalfOfTheEndpointsPlaces(t *testing.T) {
	for places, want := range map[int]int{0: 16, 4: 2, 1: 1} {
		synctest.Test(t, func(t *testing.T) {
			p := &fake{latency: -1}
			b := newBroker(t, p)
			if places > 0 {
				b = newBroker(t, limited{p, places})
			}
			askMany(b, "a", 200)
			pass(20 * time.Second)
			synctest.Wait()
			if got := p.of("a"); got != want {
				t.Errorf("%d calls of a namespace that floods the endpoint are under way, want %d", got, want)
			}
			_, _ = b.Token(entry("b", "eu-west-1", 0), time.Time{}, nil)
			_, _ = b.Token(entry("", "eu-west-1", 0), time.Time{}, nil)
			pass(time.Second)
			synctest.Wait()
			if places != 1 && (p.of("b") != 1 || p.of("") != 1) {
				t.Errorf("%d calls of the next namespace and %d of the cluster, want one of each", p.of("b"), p.of(""))
			}
		})
	}
}

// limited is a provider whose endpoints have few places.
type limited struct {
	*fake
	places int
}

func (l limited) AtOnce() int { return l.places }

func TestOneTenantCannotHaveThousandsOfCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{latency: -1}
		b := newBroker(t, p)
		for n := range 1000 {
			_, _ = b.Token(entry("a", fmt.Sprint("host", n), n), time.Time{}, nil)
		}
		synctest.Wait()
		if got := p.of("a"); got != 64 {
			t.Errorf("%d calls to as many hosts are under way, want 64", got)
		}
		_, _ = b.Token(entry("b", "host1", 0), time.Time{}, nil)
		_, _ = b.Token(entry("", "host1", 0), time.Time{}, nil)
		synctest.Wait()
		if p.of("b") != 1 || p.of("") != 1 {
			t.Error("another waits for that")
		}
		pass(30 * time.Second)
		synctest.Wait()
		if got := p.of("a"); got != 128 {
			t.Errorf("%d calls when the first have ended, want 64 more", got)
		}
	})
}

func TestTheOrderOfALaneIsThatOfUrgencyAndThenOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		var order []string
		b := newBroker(t, recording{p, &order})
		askMany(b, "filler", 16)
		order = nil
		for _, want := range []struct {
			n, urgency int
		}{{1, 0}, {2, 5}, {3, 0}, {4, 5}, {5, -3}} {
			req := entry("a", "eu-west-1", want.n)
			req.Urgency = want.urgency
			_, _ = b.Token(req, time.Time{}, nil)
		}
		pass(time.Second)
		synctest.Wait()
		// The first had its turn at once, before the others came.
		if want := []string{"a-1", "a-2", "a-4", "a-3", "a-5"}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}

// A tenant names one host after another. What is kept of each is bounded, and a neighbour's new host waits for none of them.
func TestTheEndpointsThatATenantNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour, err: down()}
		b := newBroker(t, p)
		name := func(teams, hosts int, most float64) {
			for team := range teams {
				for i := range hosts {
					_, _ = b.Token(entry(fmt.Sprint("team", team), fmt.Sprintf("region-%d-%d", team, i), 0), time.Time{}, nil)
				}
			}
			pass(time.Minute)
			held := 0.0
			for name, n := range sizes(t, b) {
				if strings.HasPrefix(name, "regcred_provider_endpoints") {
					held += n
				}
			}
			if held < most-20 || held > most {
				t.Errorf("%d namespaces that name %d hosts: %v endpoints are held, want %v at most", teams, hosts, held, most)
			}
		}
		name(1, 2000, 257)
		// Beyond what is told apart, a namespace has one for all others.
		name(20, 300, 4096+20)
		p.err = nil
		for _, tenant := range []string{"neighbour", ""} {
			if _, err := ask(b, entry(tenant, "eu-west-1", 0), time.Time{}); err != nil {
				t.Errorf("tenant %q: %v", tenant, err)
			}
		}
	})
}
