package controllers

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// failure is a reason of package v1alpha1 and what to do about it.
type failure struct {
	reason   string
	message  string
	terminal bool
	// retryAfter is when it is tried again; 0 when an event brings the target back, or never.
	retryAfter time.Duration
}

func failureOf(err error) *failure {
	known, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return &failure{reason: v1alpha1.ReasonInternal, retryAfter: retryAfter,
			message: "the API server did not answer well; it is tried again"}
	}
	f := &failure{reason: known.Reason, message: known.Error(), terminal: known.Terminal, retryAfter: known.RetryAfter}
	if f.retryAfter == 0 && !f.terminal {
		f.retryAfter = retryAfter
	}
	return f
}

// entry is one registry entry of a target in the making.
type entry struct {
	name string
	// req is what its token is made from; nil when its identity could not be resolved.
	req *providers.Request
	// cause is why it needs a new token; "" when it does not.
	cause cause
	// record is what the Secret says of it, or is about to say; known is whether there is one.
	record record
	known  bool
	// auths is its part of the Secret, when known.
	auths map[string]dockerAuth
	// fresh is whether auths is a token that the Secret does not hold yet.
	fresh bool
	// withheld is whether there is a token that was not written, for want of the others.
	withheld bool
	// pendingSince is when the call began that it waits for.
	pendingSince time.Time
	failure      *failure
	lookAgain    time.Duration
}

// take puts a token into the entry.
func (e *entry) take(c *credential, namespace string, token providers.Token) {
	e.auths = authsOf(token)
	e.known = true
	e.record = record{
		Name: e.name, Source: e.req.Source(), Refresh: e.req.RefreshRequestedAt, RefusedAt: e.req.RefusedAt, Hosts: token.Hosts(),
		ExpiresAt: token.ExpiresAt, RefreshAt: refreshAt(c, namespace, token).Truncate(time.Second),
		ID: token.ID, Verified: token.Verified,
	}
}

func (e *entry) fail(err error) {
	if pending, ok := errors.AsType[*providers.PendingError](err); ok {
		e.pendingSince = pending.Since
		return
	}
	e.failure = failureOf(err)
}

func (e *entry) pending() bool { return !e.pendingSince.IsZero() }

// withdraw undoes what was taken into the entries and not written.
func withdraw(o observed, entries []*entry) {
	for _, e := range entries {
		if e.fresh {
			e.record, e.known = o.records[e.name]
			e.fresh, e.withheld = false, true
		}
	}
}

func anyFresh(entries []*entry) bool {
	for _, e := range entries {
		if e.fresh {
			return true
		}
	}
	return false
}

func anyAuth(entries []*entry) bool {
	for _, e := range entries {
		if len(e.auths) > 0 {
			return true
		}
	}
	return false
}

func firstFresh(entries []*entry) cause {
	for _, e := range entries {
		if e.fresh {
			return e.cause
		}
	}
	return ""
}

// waiting says whether all entries that are still pending deserve to be waited for.
func waiting(entries []*entry, now time.Time) bool {
	waiting := false
	for _, e := range entries {
		if !e.pending() {
			continue
		}
		if now.Sub(e.pendingSince) >= pendingGrace {
			return false
		}
		waiting = true
	}
	return waiting
}

// outcome is how a target stands after a reconcile.
type outcome struct {
	entries []*entry
	// failure is of the target itself, and concerns all entries.
	failure *failure
	// wrote is why the Secret was written; "" when it was not.
	wrote cause
	// unseen means that the cache does not show our own last write yet, so that nothing can be said.
	unseen bool
}

// result is when the target must be looked at again, if no event comes before.
func (o outcome) result(now time.Time) reconcile.Result {
	if o.unseen {
		return reconcile.Result{RequeueAfter: expectFor}
	}
	if o.failure != nil {
		return reconcile.Result{RequeueAfter: o.failure.retryAfter}
	}
	var next time.Duration
	var expires time.Time
	for _, e := range o.entries {
		next = sooner(sooner(next, e.lookAgain), e.next(now))
		if at := e.record.ExpiresAt; e.known && (expires.IsZero() || at.Before(expires)) {
			expires = at
		}
	}
	return reconcile.Result{RequeueAfter: next, Priority: new(priority(expires, now.Add(next)))}
}

// sooner is the earlier of two times to come, of which 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// next is when the entry has something to do; 0 for never.
func (e *entry) next(now time.Time) time.Duration {
	switch {
	case e.failure != nil:
		return e.failure.retryAfter
	case e.pending():
		if grace := pendingGrace - now.Sub(e.pendingSince); grace > 0 {
			return grace
		}
		// The end of the call brings the target back: thousands that wait for a cloud that hangs need not look every few seconds.
		return retryAfter
	case e.withheld:
		return pendingGrace
	case e.record.RefreshAt.Equal(providers.Never):
		return 0
	default:
		return max(e.record.RefreshAt.Sub(now), soon)
	}
}

// soon is at once, and yet no busy loop.
const soon = 50 * time.Millisecond

// priority is higher the closer a token is to its end; a Secret without a token goes before all others.
func priority(expiresAt, now time.Time) int {
	if expiresAt.IsZero() {
		return 0
	}
	return -max(0, int(expiresAt.Sub(now)/time.Minute))
}

// logOutcome is for those who look closely; what everybody should know is an event, and logged as such.
func logOutcome(ctx context.Context, out outcome) {
	l := log.FromContext(ctx).V(1)
	if out.failure != nil {
		l.Info("Target failed", "reason", out.failure.reason, "message", out.failure.message)
	}
	for _, e := range out.entries {
		if e.failure != nil {
			l.Info("Entry failed", "registry", e.name, "reason", e.failure.reason, "message", e.failure.message,
				"expiresAt", e.record.ExpiresAt, "retryAfter", e.failure.retryAfter.String())
		}
	}
	if out.wrote != "" {
		l.Info("Wrote Secret", "cause", out.wrote)
	}
}

func excluded(namespace string) *failure {
	return &failure{reason: v1alpha1.ReasonNamespaceExcluded, terminal: true,
		message: "namespace " + namespace + " is excluded by the administrator (--excluded-namespaces): use another namespace"}
}
