package broker

import (
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/regcred/regcred/providers"
)

// endpoint is where calls go.
type endpoint struct {
	// namedBy is the tenant that was the first to name it.
	namedBy string
	breaker *breaker
	limit   *rate.Limiter
	waiting lanes
	// places is how many calls may be under way, busy how many are, and taken those of each tenant.
	places, busy int
	taken        map[string]int
	// pacing is whether one of them waits for the limit, sparing whether some wait until there is a call to spare, and turns when each tenant
	// that had a turn lately last had one.
	pacing, sparing bool
	turns           map[string]time.Time
	// usedAt is when the last call was asked for, or ended.
	usedAt time.Time
}

// endpoint is where calls of that name go. The caller holds the lock.
func (t *scheduler) endpoint(name, tenant string, now time.Time) *endpoint {
	provider, _, _ := strings.Cut(name, "/")
	if crowd := len(t.endpoints) >= maxEndpoints || t.named[tenant] >= maxEndpointsOfTenant; crowd && t.endpoints[name] == nil && tenant != "" {
		name = provider + "/other hosts that namespace " + tenant + " names"
	}
	e := t.endpoints[name]
	if e == nil {
		e = &endpoint{namedBy: tenant, breaker: newBreaker(name, now), limit: rate.NewLimiter(callsPerSecond, callBurst), places: callsAtOnce,
			taken: map[string]int{}, turns: map[string]time.Time{}}
		if p, ok := t.limited[provider].(providers.Limited); ok {
			e.places = p.AtOnce()
		}
		t.endpoints[name] = e
		t.named[tenant]++
	}
	e.usedAt = now
	return e
}

// sweep forgets the endpoints that nobody has called for a while.
func (t *scheduler) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, e := range t.endpoints {
		e.breaker.forget(now)
		quiet := e.busy == 0 && e.waiting.turn.Len() == 0 && now.Sub(e.usedAt) > idle
		if quiet && e.breaker.all.resting(now) <= 0 && len(e.breaker.tenants) == 0 {
			delete(t.endpoints, name)
			if t.named[e.namedBy]--; t.named[e.namedBy] == 0 {
				delete(t.named, e.namedBy)
			}
		}
	}
}
