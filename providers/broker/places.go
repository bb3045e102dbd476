package broker

import (
	"maps"
	"time"
)

const (
	// callsKept is how many calls of a burst are kept for tenants that had no turn for keptFor: beside one that asks without end, a newcomer
	// would otherwise wait for the limit twice, for the call before its own and for its own. What is left is enough for a credential with as
	// many entries as it may have. After keptFor a tenant is one of them again, so that newcomers without end cannot keep it from its turns.
	callsKept = 4
	keptFor   = time.Second
)

// spare says whether the tenant may make a call now without taking what is kept for others.
func (e *endpoint) spare(tenant string, now time.Time) bool {
	had, lately := e.turns[tenant]
	return !lately || now.Sub(had) >= keptFor || e.limit.TokensAt(now) >= callsKept+1
}

// untilSpare is how long it takes until there is a call beyond those that are kept, if nobody makes one meanwhile.
func (e *endpoint) untilSpare(now time.Time) time.Duration {
	missing := callsKept + 1 - e.limit.TokensAt(now)
	return max(time.Millisecond, time.Duration(missing/callsPerSecond*float64(time.Second)))
}

// advance lets a call through if there is room. The caller holds the lock.
func (t *scheduler) advance(e *endpoint) {
	if e.pacing || e.busy >= e.places {
		return
	}
	now, spares := time.Now(), false //nolint:forbidigo // the limit counts on the machine's own time, as a cloud does
	c, tenant := e.waiting.next(func(tenant string) bool {
		if !e.room(tenant) || !t.room(e, tenant) || !e.breaker.admits(tenant) {
			return false
		}
		spare := e.spare(tenant, now)
		spares = spares || !spare
		return spare
	})
	if c == nil {
		if spares {
			t.advanceLater(e, now)
		}
		return
	}
	c.tenant, c.probed = tenant, e.breaker.let(tenant)
	e.pacing = true
	e.take(tenant, now)
	t.busy[tenant]++
	go t.serve(c)
}

// advanceLater does so once there is a call to spare.
func (t *scheduler) advanceLater(e *endpoint, now time.Time) {
	if e.sparing {
		return
	}
	e.sparing = true
	time.AfterFunc(e.untilSpare(now), func() { //nolint:forbidigo // as above
		t.mu.Lock()
		defer t.mu.Unlock()
		e.sparing = false
		t.advance(e)
	})
}

// room says whether the tenant may take a place at the endpoint, if there is one. The administrator's own calls, which have no tenant, may take all.
func (e *endpoint) room(tenant string) bool {
	return tenant == "" || e.taken[tenant] < max(1, e.places/tenantsPart)
}

// take gives a place, and a turn, to a call of the tenant.
func (e *endpoint) take(tenant string, now time.Time) {
	e.busy++
	e.taken[tenant]++
	maps.DeleteFunc(e.turns, func(_ string, had time.Time) bool { return now.Sub(had) >= keptFor })
	e.turns[tenant] = now
}

// free takes the place back.
func (e *endpoint) free(tenant string) {
	e.busy--
	if e.taken[tenant]--; e.taken[tenant] == 0 {
		delete(e.taken, tenant)
	}
}
