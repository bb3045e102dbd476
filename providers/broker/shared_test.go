package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// ambient is the entry of a tenant that has the controller's own identity, as that of the cluster has: one source.
func ambient(tenant string) providers.Request {
	req := request("eu-west-1")
	req.Tenant = tenant
	return req.Sealed()
}

// sharing is a Broker that has had the source for an hour, as the cluster asked for it.
func sharing(t *testing.T) (*fake, *broker.Broker) {
	t.Helper()
	p := &fake{life: 12 * time.Hour}
	b := newBroker(t, p)
	b.SetSources(platform, []string{ambient("").Source()})
	must(t, b, ambient(""), time.Time{})
	pass(time.Hour)
	return p, b
}

func TestATenantThatSharesASourceMakesNobodysRefreshRequestBeForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := sharing(t)
		answered := refreshing(ambient(""), "the cluster's")
		must(t, b, answered, time.Time{})
		for n := range 5000 {
			_, _ = b.Token(refreshing(ambient("mallory"), fmt.Sprint(n)), time.Time{}, nil)
		}
		pass(2 * time.Minute)
		before := p.calls.Load()
		must(t, b, answered, time.Time{})
		if more := p.calls.Load() - before; more != 0 {
			t.Errorf("a request that was answered costs %d calls more", more)
		}
	})
}

func TestTheClustersRefreshRequestDoesNotWaitForThoseOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := sharing(t)
		must(t, b, refreshing(ambient("mallory"), "a"), time.Time{})
		pass(time.Second)
		// What a tenant asks for in the same words is another request.
		must(t, b, refreshing(ambient(""), "a"), time.Time{})
		if got := p.calls.Load(); got != 3 {
			t.Errorf("%d calls, want 3", got)
		}
		pass(time.Second)
		for _, tenant := range []string{"mallory", ""} {
			_, err := ask(b, refreshing(ambient(tenant), "b"), time.Time{})
			if wait := early(t, err); wait > time.Minute {
				t.Errorf("%q waits for %s", tenant, wait)
			}
		}
	})
}

func TestATokenThatTheClusterSharesIsNoTenants(t *testing.T) {
	for name, first := range map[string]string{"the cluster asks first": "", "the tenant asks first": "mallory"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fake{life: 12 * time.Hour}
				p.change = func(token *providers.Token) {
					token.ID = fmt.Sprintf("id-%d", p.calls.Load())
					token.Logins[0].Password += providers.Sensitive(strings.Repeat("x", 1000))
				}
				b := with(t, p, broker.Options{Bytes: 100_000})
				b.SetSources(platform, []string{ambient("").Source()})
				must(t, b, ambient(first), time.Time{})
				must(t, b, ambient(""), time.Time{})
				pass(time.Hour)
				token := must(t, b, refreshing(ambient("mallory"), "mine"), time.Time{})
				for n := range 50 {
					must(t, b, entry("mallory", "eu-west-1", n), time.Time{})
				}
				if _, held := b.InMemory(ambient("")); !held {
					t.Error("a tenant's tokens have made the cluster's be forgotten")
				}
				pass(time.Hour)
				must(t, b, refreshing(ambient(""), "the cluster's"), time.Time{})
				if err := revoke(b, nameOfAmbient(token)); err != nil || len(p.ended()) != 1 {
					t.Errorf("revoked %v: %v", p.ended(), err)
				}
			})
		})
	}
}

func nameOfAmbient(token providers.Token) providers.TokenName { return name(ambient(""), token) }

func TestTheTokensOfOneTenantMakeNobodyElsesBeForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		p.change = func(token *providers.Token) { token.ID = fmt.Sprintf("id-%d", p.calls.Load()) }
		b := newBroker(t, p)
		neighbours := []providers.Request{entry("", "eu-west-1", 0), entry("neighbour", "eu-west-1", 0)}
		var names []providers.TokenName
		for _, req := range neighbours {
			b.SetSources(ownerIn(req.Tenant), []string{req.Source()})
			names = append(names, name(req, must(t, b, req, time.Time{})))
		}
		for n := range 20_000 {
			req := entry("mallory", fmt.Sprintf("region-%d", n%100), n)
			_, _ = b.Token(req, time.Time{}, nil)
		}
		pass(time.Hour)
		for _, req := range neighbours {
			b.SetSources(ownerIn(req.Tenant), nil)
		}
		for _, token := range names {
			if err := revoke(b, token); err != nil {
				t.Error(err)
			}
		}
		if got := p.ended(); len(got) != 2 {
			t.Errorf("revoked %v, want both of the neighbours", got)
		}
	})
}

func TestTheTrialsOfOneTenantMakeNobodyElsesBeMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{verdict: providers.Verdict{Result: providers.PullAllowed}}
		b := with(t, &fake{}, broker.Options{Trials: j})
		try := func(tenant string, n int) error {
			pull := providers.Pull{Host: fmt.Sprint("registry-", n%200), Repository: fmt.Sprint(n)}
			_, err := b.Try(entry(tenant, "eu-west-1", 0), providers.Login{Password: "p"}, pull, nil)
			synctest.Wait()
			return err
		}
		_ = try("victim", 0)
		for n := range 2500 {
			if err := try("mallory", n); !isPending(err) {
				t.Fatalf("%d: %v", n, err)
			}
		}
		if err := try("victim", 0); err != nil {
			t.Errorf("a verdict is forgotten for those of a tenant: %v", err)
		}
		pass(time.Minute)
	})
}
