package cloud

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Outage is a way for a service to be down.
type Outage int

const (
	// OutageNone means that the service works.
	OutageNone Outage = iota
	// OutageServerError answers every call with the service's own form of HTTP 500.
	OutageServerError
	// OutageClosed closes the connection without an answer.
	OutageClosed
	// OutageHang accepts a call and never answers it: until the fault changes, the cloud closes or the client gives up.
	OutageHang
)

// Fault says how a service misbehaves. The zero value is a healthy service.
type Fault struct {
	Latency time.Duration
	// Throttle is the number of next calls to refuse as too many; negative means all of them.
	Throttle int
	// RetryAfter is sent with a throttled call, rounded up to whole seconds, unless it is zero.
	RetryAfter time.Duration
	Outage     Outage
}

// Faults holds the present fault of one service and can be changed while calls are in flight.
type Faults struct {
	mu      sync.Mutex
	fault   Fault
	changed chan struct{}
	hanging atomic.Int32
}

func newFaults(initial Fault) *Faults {
	return &Faults{fault: initial, changed: make(chan struct{})}
}

// Set replaces the fault as a whole, and drops the calls that hang in the one before.
func (f *Faults) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	close(f.changed)
	f.changed = make(chan struct{})
}

// Reset makes the service healthy.
func (f *Faults) Reset() { f.Set(Fault{}) }

// Hanging is how many calls are open in OutageHang at this moment.
func (f *Faults) Hanging() int { return int(f.hanging.Load()) }

// strike is what the fault does to one call.
type strike struct {
	latency    time.Duration
	throttled  bool
	retryAfter time.Duration
	outage     Outage
	changed    <-chan struct{}
}

// next takes one call from a limited throttle. An outage comes first: a service that is down does not count.
func (f *Faults) next() strike {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strike{latency: f.fault.Latency, outage: f.fault.Outage, changed: f.changed}
	if s.outage != OutageNone || f.fault.Throttle == 0 {
		return s
	}
	s.throttled, s.retryAfter = true, f.fault.RetryAfter
	if f.fault.Throttle > 0 {
		f.fault.Throttle--
	}
	return s
}

// delay reports false if the client gave up meanwhile. It runs on real time: latency is felt by a client's real timeouts.
func (s strike) delay(ctx context.Context) bool {
	if s.latency <= 0 {
		return true
	}
	timer := time.NewTimer(s.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s strike) hang(ctx context.Context) {
	select {
	case <-s.changed:
	case <-ctx.Done():
	}
}
