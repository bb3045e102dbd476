package broker

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// slot is what the Broker knows of one request.
type slot struct {
	source  string
	token   providers.Token
	askedAt time.Time

	calling bool
	since   time.Time
	waiting []func()

	failure  *providers.Error
	failures int
	retryAt  time.Time
	// life is how long the last token was to live.
	life time.Duration
}

// accept takes a minted token unless it is worse than the one held.
func (s *slot) accept(token providers.Token, now time.Time) error {
	switch {
	case !usable(token, now):
		return providers.Errorf(v1alpha1.ReasonInvalidResponse, "the cloud's answer holds no usable token: "+
			"check the clock of the controller's node and any proxy in between")
	case !token.ExpiresAt.After(s.token.ExpiresAt):
		return providers.Errorf(v1alpha1.ReasonNotRenewed, "the cloud still hands out the token that is in use")
	}
	s.token = token
	return nil
}

// usable says whether the token is one at all.
func usable(t providers.Token, now time.Time) bool {
	for _, l := range t.Logins {
		if l.Password == "" || len(l.Hosts) == 0 {
			return false
		}
	}
	return len(t.Logins) > 0 && t.ExpiresAt.After(now)
}

func (s *slot) fail(key string, err error, now time.Time) {
	s.failure = asError(err)
	if resting, ok := errors.AsType[*restingError](err); ok {
		// Nothing was tried: the request's own patience is not spent. The jitter spreads the requests over a second.
		s.retryAt = now.Add(resting.failure.RetryAfter + spread(key, 0, time.Second))
		return
	}
	s.failures++
	switch {
	case s.failure.Terminal:
		s.retryAt = now.Add(terminalRetry)
	default:
		s.retryAt = now.Add(max(backoff(key, s.failures, longest(s.life)), min(s.failure.RetryAfter, maxRetryAfter)))
	}
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

// backoff is exponential with full jitter.
func backoff(key string, failures int, most time.Duration) time.Duration {
	ceiling := min(most, minBackoff<<min(failures, 10))
	return minBackoff + spread(key, failures, ceiling-minBackoff+1)
}

// spread is a part of the window. It is a hash, so that it differs between requests and yet is the same in every test.
func spread(key string, serial int, window time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, key, serial)
	return time.Duration(h.Sum64() % uint64(window))
}
