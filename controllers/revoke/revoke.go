// Package revoke ends the tokens that are no longer handed out, once no Secret holds them. What it has to do is forgotten at a restart; those
// tokens then die of their age.
package revoke

import (
	"context"
	"errors"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

const (
	// grace is how long a token that no Secret holds may still be on its way into one.
	grace = time.Minute
	// tries is how often a token is tried to be revoked, at intervals of at least grace; after that it dies of its age.
	tries = 5
	// retiredFor and retiredHeld bound the tokens that wait for their end, and retiredOfTenant those of one namespace.
	retiredFor      = 48 * time.Hour
	retiredHeld     = 1 << 14
	retiredOfTenant = retiredHeld / 4
)

// ID names a token, and the source that it was made from (providers.TokenName).
type ID string

// Config is what a Reconciler works with.
type Config struct {
	Clock clock.PassiveClock
	// Held says whether a Secret holds the token.
	Held func(id ID) bool
	// Revoke ends the token, and calls done once.
	Revoke func(id string, done func(error))
	// Wake brings a token back after a while.
	Wake func(id ID, after time.Duration)
}

// Reconciler ends one token.
type Reconciler struct {
	Config
	retired *expiring.Map[ID, state]
}

// state is how far it has come with a token of a tenant.
type state struct {
	tenant string
	// freeSince is since when no Secret holds it; zero while one does.
	freeSince time.Time
	tries     int
	// revoking is whether its end is under way.
	revoking bool
}

// New returns a Reconciler that knows of no token yet. What it works with may be set later, before it is told of any.
func New(c clock.PassiveClock) *Reconciler {
	return &Reconciler{Config: Config{Clock: c}, retired: expiring.Shared(c, retiredFor, retiredHeld, retiredOfTenant, func(_ ID, s state) string { return s.tenant })}
}

// Retired is told of a token of the tenant, a namespace or "" for the cluster, that is no longer handed out.
func (r *Reconciler) Retired(tenant, id string) {
	if r.retired.Add(ID(id), state{tenant: tenant}) {
		r.Wake(ID(id), 0)
	}
}

// Released is told of a token that no Secret holds any longer.
func (r *Reconciler) Released(id string) {
	if _, known := r.retired.Get(ID(id)); known {
		r.Wake(ID(id), 0)
	}
}

// Reconcile ends the token if no Secret has held it for a while.
func (r *Reconciler) Reconcile(ctx context.Context, id ID) (reconcile.Result, error) {
	s, known := r.retired.Get(id)
	if !known || s.revoking {
		return reconcile.Result{}, nil
	}
	if r.Held(id) {
		// The last Secret that gives it up brings it back.
		r.note(id, func(s *state) { s.freeSince = time.Time{} })
		return reconcile.Result{}, nil
	}
	now := r.Clock.Now()
	s = r.note(id, func(s *state) {
		if s.freeSince.IsZero() {
			s.freeSince = now
		}
	})
	if left := s.freeSince.Add(grace).Sub(now); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	r.note(id, func(s *state) { s.revoking = true })
	l := log.FromContext(ctx)
	r.Revoke(string(id), func(err error) {
		if err != nil {
			l.Info("A token that nobody uses could not be revoked", "id", string(id), "message", err.Error())
		}
		r.settle(id, err)
	})
	return reconcile.Result{}, nil
}

// settle takes the end of a revocation.
func (r *Reconciler) settle(id ID, err error) {
	if err == nil {
		r.retired.Delete(id)
	}
	if _, waits := r.retired.Get(id); !waits {
		return
	}
	s := r.note(id, func(s *state) {
		s.revoking, s.freeSince = false, r.Clock.Now()
		s.tries++
	})
	failure, ok := errors.AsType[*providers.Error](err)
	if s.tries >= tries || ok && failure.Terminal {
		r.retired.Delete(id)
		return
	}
	wait := grace
	if ok {
		wait = max(wait, failure.RetryAfter)
	}
	r.Wake(id, wait)
}

// note changes what is known of a token.
func (r *Reconciler) note(id ID, change func(*state)) state {
	return r.retired.Update(id, func(s state, _ bool) state {
		change(&s)
		return s
	})
}
