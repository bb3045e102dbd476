package broker

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/regcred/regcred/providers"
)

// restAfter is how many calls in a row must find an endpoint down before it is given a rest.
const restAfter = 5

// circuit is a circuit breaker: it opens after failures, or on the endpoint's own request, and when its rest is over a single call finds
// out whether the endpoint is back before others go on.
type circuit struct {
	// failures are those in a row.
	failures  int
	restUntil time.Time
	reason    string
	// opened is whether a call must succeed before the circuit closes.
	opened bool
	// probing is whether that call is under way.
	probing bool
	// inherited is whether the rest is the one for all: the tenant has found out nothing itself yet.
	inherited bool
}

// resting is how long the circuit stays open.
func (c *circuit) resting(now time.Time) time.Duration { return c.restUntil.Sub(now) }

// admits says whether a call may go through.
func (c *circuit) admits() bool { return !c.opened || !c.probing }

// let is told of a call that goes through, and says whether it is the one that finds out.
func (c *circuit) let() (probe bool) {
	if c.opened {
		c.probing = true
	}
	return c.opened
}

// fail counts a failure of the endpoint's own. It opens the circuit only if there are voices enough for that.
func (c *circuit) fail(failure *providers.Error, voices bool, name string, life time.Duration, now time.Time) {
	if c.restUntil.After(now) {
		// A call from before the rest.
		return
	}
	c.failures++
	c.inherited = false
	if !voices {
		return
	}
	rest := min(failure.RetryAfter, maxRetryAfter)
	if c.failures >= restAfter {
		c.opened = true
		rest = max(rest, backoff(name, c.failures-restAfter+2, minBackoff, longest(life)))
	}
	c.restUntil, c.reason = now.Add(rest), failure.Reason
}

// breaker decides which calls to an endpoint are made. One tenant's failures are its own affair: the endpoint rests for all only on the
// word of several. That rest, too, ends for each tenant by a call of its own, so that nobody waits for what others find out. It does not bind
// those who know better, as their own last call succeeded, nor the administrator's own calls, which have no tenant.
type breaker struct {
	name string
	// all is what a tenant meets that has not called lately; tenants are for one each.
	all     circuit
	tenants map[string]*circuit
	// failing are the tenants that have found the endpoint down since a call succeeded, no more of them than matter.
	failing map[string]bool
	// served are tenants whose own last call succeeded.
	served sets.Set[string]
	// answeredAt is when a call succeeded, or when the breaker was made.
	answeredAt time.Time
	// life is how long the last token was to live.
	life time.Duration
}

const (
	// voicesOfAll is on how many tenants' word an endpoint rests for all.
	voicesOfAll = 3
	// voicesAlone is on how many if nobody else was heard for unheard.
	voicesAlone = 2
	unheard     = 5 * time.Minute
	// tenantsKnown bounds the tenants that have a circuit at one endpoint, and those that are known to be served there. Of what comes beyond
	// only the calls' own patience decides; who is not known to be served waits for one rest for all.
	tenantsKnown = 1024
)

func newBreaker(name string, now time.Time) *breaker {
	return &breaker{name: name, tenants: map[string]*circuit{}, failing: map[string]bool{}, served: sets.Set[string]{}, answeredAt: now}
}

// inherit makes the rest for all the tenant's own, when it meets that first.
func (b *breaker) inherit(tenant string) {
	own := b.tenants[tenant]
	if own != nil && (own.opened || own.restUntil.After(b.all.restUntil)) || tenant == "" || b.served.Has(tenant) || b.all.restUntil.IsZero() {
		return
	}
	if own == nil {
		if own = b.admit(tenant); own == nil {
			return
		}
	}
	*own = circuit{failures: b.all.failures, restUntil: b.all.restUntil, reason: b.all.reason, opened: true, inherited: own.failures == 0}
}

// admit gives the tenant a circuit, if there is room.
func (b *breaker) admit(tenant string) *circuit {
	if len(b.tenants) >= tenantsKnown {
		return nil
	}
	b.tenants[tenant] = &circuit{}
	return b.tenants[tenant]
}

// resting is why a call of the tenant is not made now; nil if it may be. It is asked when a call comes, and again when one has failed.
func (b *breaker) resting(tenant string, now time.Time) *restingError {
	b.inherit(tenant)
	own := b.tenants[tenant]
	if own == nil || own.resting(now) <= 0 {
		return nil
	}
	failure := providers.Errorf(own.reason, "calls to %s fail, and it is left alone for a while", b.name)
	failure.RetryAfter = own.resting(now)
	return &restingError{failure}
}

// admits says whether a call of the tenant need not wait for one that finds out whether the endpoint is back.
func (b *breaker) admits(tenant string) bool {
	own := b.tenants[tenant]
	return own == nil || own.admits()
}

// let is told of a call that is made, and returns the circuit that it probes; nil if it probes none.
func (b *breaker) let(tenant string) *circuit {
	if own := b.tenants[tenant]; own != nil && own.let() {
		return own
	}
	return nil
}

// settle takes the end of a call of the tenant. What is not the endpoint's own fault says nothing of it.
func (b *breaker) settle(tenant string, probed *circuit, failure *providers.Error, now time.Time) {
	if probed != nil {
		probed.probing = false
	}
	switch {
	case failure == nil:
		b.succeed(tenant, now)
		return
	case failure.Scope != providers.ScopeEndpoint:
		return
	}
	b.served.Delete(tenant)
	if len(b.failing) < voicesOfAll {
		b.failing[tenant] = true
	}
	own := b.tenants[tenant]
	if own == nil {
		own = b.admit(tenant)
	}
	if own != nil {
		own.fail(failure, true, b.name, b.life, now)
	}
	voices := len(b.failing) >= voicesOfAll || len(b.failing) >= voicesAlone && now.Sub(b.answeredAt) >= unheard
	b.all.fail(failure, voices, b.name, b.life, now)
}

// succeed ends the rest for all, and that of the tenant.
func (b *breaker) succeed(tenant string, now time.Time) {
	b.all, b.answeredAt = circuit{}, now
	delete(b.tenants, tenant)
	clear(b.failing)
	maps.DeleteFunc(b.tenants, func(_ string, c *circuit) bool { return c.inherited })
	if len(b.served) < tenantsKnown {
		b.served.Insert(tenant)
	}
}

// forget drops the circuits of tenants that have not failed for long.
func (b *breaker) forget(now time.Time) {
	for tenant, c := range b.tenants {
		if !c.probing && -c.resting(now) > idle {
			delete(b.tenants, tenant)
		}
	}
}
