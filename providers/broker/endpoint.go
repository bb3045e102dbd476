package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	// callsPerSecond and callBurst bound the calls to one endpoint. ECR's documents disagree between 20 and 500 calls a
	// second for an account and region; half of the smallest is asked for.
	callsPerSecond = 10
	callBurst      = 20
	// callsAtOnce bounds the calls to one endpoint that are under way: one that accepts and never answers holds no more than these.
	callsAtOnce = 32
	// restAfter is how many calls in a row must find an endpoint down before it is given a rest.
	restAfter = 5
)

// endpoint is where calls go. It is a circuit breaker: an endpoint that is down, or asks for patience, is left alone for a while, and
// then tried by a single call before the others go on.
type endpoint struct {
	name  string
	limit *rate.Limiter
	room  chan struct{}

	mu sync.Mutex
	// failures are those in a row that are the endpoint's own fault.
	failures  int
	restUntil time.Time
	cause     *providers.Error
	// trial is open while a single call finds out whether the endpoint is back.
	trial chan struct{}
	// life is how long the last token was to live.
	life time.Duration
	// usedAt is when the last call was asked for, or ended.
	usedAt time.Time
}

func newEndpoint(name string) *endpoint {
	return &endpoint{name: name, limit: rate.NewLimiter(callsPerSecond, callBurst), room: make(chan struct{}, callsAtOnce)}
}

// restingError is why a call was not made.
type restingError struct{ failure *providers.Error }

func (r *restingError) Error() string { return r.failure.Error() }

func (e *endpoint) use(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.usedAt = now
}

// do makes a call when its turn has come. It fails with a restingError instead while the endpoint rests.
func (e *endpoint) do(ctx context.Context, now func() time.Time, call func() (providers.Token, error)) (providers.Token, error) {
	if err := e.limit.Wait(ctx); err != nil {
		return providers.Token{}, err
	}
	select {
	case e.room <- struct{}{}:
		defer func() { <-e.room }()
	case <-ctx.Done():
		return providers.Token{}, ctx.Err()
	}
	trial, err := e.admit(ctx, now)
	if err != nil {
		return providers.Token{}, err
	}
	token, err := call()
	e.settle(token, err, now(), trial)
	return token, err
}

// admit lets a call through; trial is whether it is the one that tries an endpoint after its rest.
func (e *endpoint) admit(ctx context.Context, now func() time.Time) (trial bool, err error) {
	for {
		e.mu.Lock()
		if left := e.restUntil.Sub(now()); left > 0 {
			err := e.resting(left)
			e.mu.Unlock()
			return false, err
		}
		if e.failures < restAfter {
			e.mu.Unlock()
			return false, nil
		}
		tried := e.trial
		if tried == nil {
			e.trial = make(chan struct{})
			e.mu.Unlock()
			return true, nil
		}
		e.mu.Unlock()
		select {
		case <-tried:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (e *endpoint) resting(left time.Duration) *restingError {
	return &restingError{&providers.Error{Reason: e.cause.Reason, RetryAfter: left,
		Err: fmt.Errorf("%w; other calls to %s have failed, too, and it is left alone for a while", e.cause.Err, e.name)}}
}

// settle takes the end of a call.
func (e *endpoint) settle(token providers.Token, err error, now time.Time, trial bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.usedAt = now
	if trial {
		close(e.trial)
		e.trial = nil
	}
	failure := asError(err)
	if failure == nil && !token.ExpiresAt.IsZero() {
		e.life = token.ExpiresAt.Sub(now)
	}
	switch {
	case failure == nil || !ownFault(failure):
		e.failures, e.restUntil, e.cause = 0, time.Time{}, nil
		return
	case e.restUntil.After(now):
		// A call from before the rest.
		return
	}
	e.failures++
	e.cause = failure
	rest := min(failure.RetryAfter, maxRetryAfter)
	if e.failures >= restAfter {
		rest = max(rest, backoff(e.name, e.failures-restAfter+2, longest(e.life)))
	}
	e.restUntil = now.Add(rest)
}

// ownFault says whether a failure is the endpoint's and not the request's.
func ownFault(failure *providers.Error) bool {
	return failure.Reason == v1alpha1.ReasonUnavailable || failure.Reason == v1alpha1.ReasonThrottled
}

// idleSince says whether the endpoint can be forgotten.
func (e *endpoint) idleSince(deadline, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.room) == 0 && e.usedAt.Before(deadline) && !e.restUntil.After(now)
}
