package broker

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	minBackoff = time.Second
	maxBackoff = 2 * time.Minute
	// maxRetryAfter bounds how long a cloud can silence us by a Retry-After header.
	maxRetryAfter = 15 * time.Minute
	// terminalRetry is how often what only somebody else can mend is tried again all the same: never say never.
	terminalRetry = time.Hour
)

var (
	// minGrant and maxGrant are for a token that its registry refuses when it is new: what is missing is a grant, and those are made by people.
	minGrant = 2 * time.Minute
	maxGrant = 30 * time.Minute
)

// fail takes the failure of a call, and decides when the next is made.
func (s *slot) fail(err error, now time.Time) {
	s.failure = asError(err)
	if resting, ok := errors.AsType[*restingError](err); ok {
		// Nothing was tried: the source's own patience is not spent. The jitter spreads the calls over a second, in another order each time, so
		// that it is not always the same source that finds out for the others of its tenant.
		s.retryAt = now.Add(resting.failure.RetryAfter + spread(s.source, int(now.Add(resting.failure.RetryAfter).Unix()), time.Second))
		return
	}
	s.failures++
	var wait time.Duration
	switch {
	case s.failure.Terminal, s.failure.Reason == v1alpha1.ReasonTokenRefused && s.token.Copied:
		wait = terminalRetry
	case s.failure.Reason == v1alpha1.ReasonVerificationFailed:
		wait = backoff(s.source, s.failures, minGrant, maxGrant)
	default:
		wait = backoff(s.source, s.failures, minBackoff, longest(s.life()))
	}
	s.retryAt = now.Add(max(wait, min(s.failure.RetryAfter, maxRetryAfter)))
}

// backingOff is the failure while it is too early to try again; nil when it is not.
func (s *slot) backingOff(refresh stamp, now time.Time) *providers.Error {
	retryAt := s.due(s.retryAt, refresh)
	if s.failure == nil || !now.Before(retryAt) {
		return nil
	}
	failure := *s.failure
	failure.RetryAfter = retryAt.Sub(now)
	return &failure
}

// longest is how long a token is waited for between two tries at most: a small part of what the last one lived, so that a token of 30
// seconds is not awaited for minutes. 0 is no token yet.
func longest(life time.Duration) time.Duration {
	if life == 0 {
		return maxBackoff
	}
	return max(minBackoff, min(maxBackoff, life/8))
}

// asError is the *Error in err; nil for nil.
func asError(err error) *providers.Error {
	if err == nil {
		return nil
	}
	if resting, ok := errors.AsType[*restingError](err); ok {
		return resting.failure
	}
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		failure = providers.Errorf(v1alpha1.ReasonInternal, "unexpected failure of type %T", err)
	}
	return failure
}

// backoff is exponential between two bounds, with full jitter.
func backoff(key string, failures int, least, most time.Duration) time.Duration {
	ceiling := min(most, least<<min(failures, 10))
	return least + spread(key, failures, ceiling-least+1)
}

// spread is a part of the window. It is a hash, so that it differs between sources and yet is the same in every test.
func spread(key string, serial int, window time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, key, serial)
	return time.Duration(h.Sum64() % uint64(window))
}
