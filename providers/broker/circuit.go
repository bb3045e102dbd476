package broker

import (
	"time"

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
// word of several.
type breaker struct {
	name string
	// all is for everybody, tenants for one each.
	all     circuit
	tenants map[string]*circuit
	// failing are the tenants that have found the endpoint down since a call succeeded, no more of them than matter.
	failing map[string]bool
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
	// failingTenants bounds the tenants whose failures are counted at one endpoint; of what comes beyond only the calls' own patience decides.
	failingTenants = 1024
)

func newBreaker(name string, now time.Time) *breaker {
	return &breaker{name: name, tenants: map[string]*circuit{}, failing: map[string]bool{}, answeredAt: now}
}

// resting is why a call of the tenant is not made now; nil if it may be.
func (b *breaker) resting(tenant string, now time.Time) *restingError {
	c := &b.all
	if own := b.tenants[tenant]; own != nil && own.resting(now) > c.resting(now) {
		c = own
	}
	left := c.resting(now)
	if left <= 0 {
		return nil
	}
	failure := providers.Errorf(c.reason, "calls to %s fail, and it is left alone for a while", b.name)
	failure.RetryAfter = left
	return &restingError{failure}
}

// admits says whether a call of the tenant need not wait for one that finds out whether the endpoint is back.
func (b *breaker) admits(tenant string) bool {
	own := b.tenants[tenant]
	return b.all.admits() && (own == nil || own.admits())
}

// let is told of a call that is made, and returns the circuits that it probes.
func (b *breaker) let(tenant string) []*circuit {
	var probed []*circuit
	if b.all.let() {
		probed = append(probed, &b.all)
	}
	if own := b.tenants[tenant]; own != nil && own.let() {
		probed = append(probed, own)
	}
	return probed
}

// settle takes the end of a call of the tenant. What is not the endpoint's own fault says nothing of it. It says for whom a rest begins.
func (b *breaker) settle(tenant string, probed []*circuit, failure *providers.Error, now time.Time) (own, all bool) {
	for _, c := range probed {
		c.probing = false
	}
	switch {
	case failure == nil:
		b.all, b.answeredAt = circuit{}, now
		delete(b.tenants, tenant)
		clear(b.failing)
		return false, false
	case failure.Scope != providers.ScopeEndpoint:
		return false, false
	}
	if len(b.failing) < voicesOfAll {
		b.failing[tenant] = true
	}
	voices := len(b.failing) >= voicesOfAll || len(b.failing) >= voicesAlone && now.Sub(b.answeredAt) >= unheard
	b.all.fail(failure, voices, b.name, b.life, now)
	c := b.tenants[tenant]
	if c == nil && len(b.tenants) < failingTenants {
		c = &circuit{}
		b.tenants[tenant] = c
	}
	if c != nil {
		c.fail(failure, true, b.name, b.life, now)
	}
	return c != nil && c.resting(now) > 0, b.all.resting(now) > 0
}

// forget drops the circuits of tenants that have not failed for long.
func (b *breaker) forget(now time.Time) {
	for tenant, c := range b.tenants {
		if !c.probing && -c.resting(now) > idle {
			delete(b.tenants, tenant)
		}
	}
}
