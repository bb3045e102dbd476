package broker

import (
	"context"
	"slices"
	"sync"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
)

const (
	// callsPerSecond and callBurst bound the calls to one endpoint. ECR's documents disagree between 20 and 500 calls a
	// second for an account and region; half of the smallest is asked for.
	callsPerSecond = 10
	callBurst      = 20
	// callsAtOnce bounds the calls to one endpoint that are under way: one that accepts and never answers holds no more than these.
	callsAtOnce = 32
	// tenantsPart is the part of an endpoint's places that one namespace takes at most, so that its calls, however slow, leave some to others.
	tenantsPart = 2
	// callsOfTenant bounds those of one namespace, whatever the endpoints are: it can name as many as it likes. It leaves places for another
	// endpoint while one is full. The administrator's own calls, which have no tenant, are not bounded by it.
	callsOfTenant = 2 * callsAtOnce
	// maxEndpoints bounds the endpoints that are told apart, and maxEndpointsOfTenant those that one namespace was the first to name. Beyond them,
	// what a namespace names is one endpoint of its own.
	maxEndpoints         = 4096
	maxEndpointsOfTenant = 256
)

// scheduler decides whose call is made next. Nobody waits for an endpoint behind another tenant's calls, nor behind calls to another endpoint.
type scheduler struct {
	base  context.Context //nolint:containedctx // calls outlive the reconcile that starts them, and end with the process
	clock clock.PassiveClock
	// limited are the providers whose endpoints have fewer places than others.
	limited map[string]providers.Provider

	mu        sync.Mutex
	endpoints map[string]*endpoint
	// named counts the endpoints that each tenant was the first to name.
	named map[string]int
	// busy counts the calls under way of each tenant, and crowded are the endpoints at which more of them wait for an end of those, in the order in
	// which they came.
	busy    map[string]int
	crowded map[string][]*endpoint
}

// asker is in whose turn a call is made, and how urgently.
type asker struct {
	tenant  string
	urgency int
}

// call is one that waits or is under way.
type call struct {
	endpoint *endpoint
	work     func() (providers.Token, error)
	// ended is told once how the call has ended, or that it is not made.
	ended   func(providers.Token, error)
	tickets map[string]*ticket
	// tenant is in whose turn it was made, and probed what it finds out; nil if nothing.
	tenant string
	probed *circuit
}

// restingError is why a call was not made.
type restingError struct{ failure *providers.Error }

func (r *restingError) Error() string { return r.failure.Error() }

func newScheduler(ctx context.Context, c clock.PassiveClock, limited map[string]providers.Provider) *scheduler {
	return &scheduler{base: ctx, clock: c, limited: limited, endpoints: map[string]*endpoint{}, named: map[string]int{}, busy: map[string]int{}, crowded: map[string][]*endpoint{}}
}

// begin makes the call when its turn has come. It fails at once while the endpoint rests; ended is not called then.
func (t *scheduler) begin(name string, a asker, work func() (providers.Token, error), ended func(providers.Token, error)) (*call, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	e := t.endpoint(name, a.tenant, now)
	if rest := e.breaker.resting(a.tenant, now); rest != nil {
		return nil, rest
	}
	c := &call{endpoint: e, work: work, ended: ended, tickets: map[string]*ticket{}}
	e.waiting.add(c, a)
	t.advance(e)
	return c, nil
}

// join makes a call that still waits one of another asker, too, if it was not yet.
func (t *scheduler) join(c *call, a asker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(c.tickets) > 0 && c.endpoint.breaker.resting(a.tenant, t.clock.Now()) == nil {
		c.endpoint.waiting.add(c, a)
		t.advance(c.endpoint)
	}
}

// do makes a call when its turn has come, and waits for its end or for that of ctx.
func (t *scheduler) do(ctx context.Context, name string, a asker, work func() error) error {
	done := make(chan error, 1)
	c, err := t.begin(name, a,
		func() (providers.Token, error) { return providers.Token{}, work() },
		func(_ providers.Token, err error) { done <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		t.withdraw(c)
		return ctx.Err()
	}
}

// withdraw takes back a call that nobody needs any more, and says whether it still waited.
func (t *scheduler) withdraw(c *call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	waits := len(c.tickets) > 0
	c.endpoint.waiting.remove(c)
	return waits
}

// room says whether the tenant may have another call under way. If not, the end of one brings it back to this endpoint.
func (t *scheduler) room(e *endpoint, tenant string) bool {
	if tenant == "" || t.busy[tenant] < callsOfTenant {
		return true
	}
	if !slices.Contains(t.crowded[tenant], e) {
		t.crowded[tenant] = append(t.crowded[tenant], e)
	}
	return false
}

// serve makes one call. One at a time waits for the limit, so that whoever comes meanwhile has a turn right after it.
func (t *scheduler) serve(c *call) {
	var token providers.Token
	err := c.endpoint.limit.Wait(t.base) // on the machine's own time, as a cloud counts it
	t.mu.Lock()
	c.endpoint.pacing = false
	t.advance(c.endpoint)
	t.mu.Unlock()
	if err == nil {
		token, err = guarded(t.base, c.endpoint.breaker.name, c.work)
	}
	for _, other := range t.settle(c, token, err) {
		other.call.ended(providers.Token{}, other.rest)
	}
	c.ended(token, err)
}

// drained is a call that is not made, since a rest has begun.
type drained struct {
	call *call
	rest *restingError
}

// settle takes the end of a call, and lets the next ones through. It returns the calls that are not made because of it.
func (t *scheduler) settle(c *call, token providers.Token, err error) []drained {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, now := c.endpoint, t.clock.Now()
	e.usedAt = now
	e.free(c.tenant)
	if !token.ExpiresAt.IsZero() {
		e.breaker.life = token.ExpiresAt.Sub(now)
	}
	e.breaker.settle(c.tenant, c.probed, asError(err), now)
	var out []drained
	if err != nil {
		out = e.waiting.drain(func(tenant string) *restingError { return e.breaker.resting(tenant, now) })
	}
	t.leave(c.tenant)
	t.advance(e)
	return out
}

// leave counts the end of a call of the tenant, and brings it back to an endpoint where it waits for that.
func (t *scheduler) leave(tenant string) {
	if t.busy[tenant]--; t.busy[tenant] == 0 {
		delete(t.busy, tenant)
	}
	for len(t.crowded[tenant]) > 0 && t.busy[tenant] < callsOfTenant {
		e := t.crowded[tenant][0]
		t.crowded[tenant] = t.crowded[tenant][1:]
		t.advance(e)
	}
	if len(t.crowded[tenant]) == 0 {
		delete(t.crowded, tenant)
	}
}
