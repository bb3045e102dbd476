// Package revoke ends the tokens that are no longer handed out, once no Secret holds them. What it has to do is forgotten at a restart; those
// tokens then die of their age.
package revoke

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/internal/wake"
	"github.com/regcred/regcred/providers"
)

const (
	// grace is how long a token that no Secret holds may still be on its way into one.
	grace = time.Minute
	// tries is how often a token is tried to be revoked, at intervals of at least grace; after that it dies of its age.
	tries = 5
	// retiredFor and maxRetired bound the tokens that wait for their end, and retiredOfTenant those of one namespace.
	retiredFor      = 48 * time.Hour
	maxRetired      = 1 << 14
	retiredOfTenant = maxRetired / 4
)

// Retired are the tokens that are no longer handed out, until they have ended.
type Retired struct {
	// Queue brings them to the Reconciler.
	Queue  wake.Queue[providers.TokenName]
	tokens *expiring.Map[providers.TokenName, state]
	wake   func(name providers.TokenName, after time.Duration)
}

// state is how far a token of a tenant is on the way to its end.
type state struct {
	tenant string
	// freeSince is since when no Secret holds it; zero while one does.
	freeSince time.Time
	tries     int
	// revoking is whether its end is under way.
	revoking bool
}

// NewRetired returns Retired of which none is known yet.
func NewRetired(c clock.PassiveClock) *Retired {
	r := &Retired{tokens: expiring.Shared(c, retiredFor, maxRetired, retiredOfTenant, func(_ providers.TokenName, s state) string { return s.tenant })}
	r.wake = func(name providers.TokenName, after time.Duration) {
		r.Queue.Add(priorityqueue.AddOpts{After: after}, name)
	}
	return r
}

// Retire is told of a token of the tenant, a namespace or "" for the cluster, that is no longer handed out.
func (r *Retired) Retire(tenant string, name providers.TokenName) {
	if r.tokens.Add(name, state{tenant: tenant}) {
		r.wake(name, 0)
	}
}

// Release is told of a token that no Secret holds any longer.
func (r *Retired) Release(name providers.TokenName) {
	if _, known := r.tokens.Get(name); known {
		r.wake(name, 0)
	}
}

// Reconciler ends one token.
type Reconciler struct {
	Clock   clock.PassiveClock
	Retired *Retired
	// InUse says whether a Secret holds the token.
	InUse func(name providers.TokenName) bool
	// Revoke ends the token, and calls done once.
	Revoke func(name providers.TokenName, done func(error))
}

// Reconcile ends the token if no Secret has held it for a while.
func (r *Reconciler) Reconcile(ctx context.Context, name providers.TokenName) (reconcile.Result, error) {
	s, known := r.Retired.tokens.Get(name)
	if !known || s.revoking {
		return reconcile.Result{}, nil
	}
	if r.InUse(name) {
		// The last Secret that gives it up brings it back.
		r.note(name, func(s *state) { s.freeSince = time.Time{} })
		return reconcile.Result{}, nil
	}
	now := r.Clock.Now()
	s = r.note(name, func(s *state) {
		if s.freeSince.IsZero() {
			s.freeSince = now
		}
	})
	if left := s.freeSince.Add(grace).Sub(now); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	r.note(name, func(s *state) { s.revoking = true })
	l := log.FromContext(ctx)
	r.Revoke(name, func(err error) {
		if err != nil {
			l.Info("A token that nobody uses could not be revoked", "message", err.Error())
		}
		r.settle(name, err)
	})
	return reconcile.Result{}, nil
}

// settle takes the end of a revocation.
func (r *Reconciler) settle(name providers.TokenName, err error) {
	if err == nil {
		r.Retired.tokens.Delete(name)
	}
	if _, waits := r.Retired.tokens.Get(name); !waits {
		return
	}
	s := r.note(name, func(s *state) {
		s.revoking, s.freeSince = false, r.Clock.Now()
		s.tries++
	})
	failure, ok := errors.AsType[*providers.Error](err)
	if s.tries >= tries || ok && failure.Terminal {
		r.Retired.tokens.Delete(name)
		return
	}
	wait := grace
	if ok {
		wait = max(wait, failure.RetryAfter)
	}
	r.Retired.wake(name, wait)
}

// note changes what is known of a token.
func (r *Reconciler) note(name providers.TokenName, change func(*state)) state {
	return r.Retired.tokens.Update(name, func(s state, _ bool) state {
		change(&s)
		return s
	})
}
