package target

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/internal/apiserver"
)

// Outcome is how a target stands after a reconcile.
type Outcome struct {
	Entries []*EntryState
	// Failure is what is wrong with the target itself, for all entries.
	Failure *credential.Failure
	// Unlinked means that pods are created without the Secret, whatever is in it.
	Unlinked bool
	// Wrote is why the Secret was written; "" when it was not.
	Wrote Cause
	// Retained means that the Secret is there and would outlive the credential.
	Retained bool
	// Suspended means that nothing was done, nor will be by time.
	Suspended bool
	// CacheBehind means that the cache does not show our own last write yet, so that nothing can be said.
	CacheBehind bool
	// Uncompared means that somebody else has changed the Secret since it was looked at: what it says of itself counts for nothing.
	Uncompared bool
	// rejected means that nothing can be done about the entries before Failure is mended.
	rejected bool
	// again is when to look again at what could not be looked at; 0 if there is nothing.
	again time.Duration
}

// Outcomes takes the outcome of every reconcile. What it knows of a target it may say, and nothing is decided from it.
type Outcomes interface {
	// Linked takes what was done to links of a credential.
	Linked(key credential.Key, done link.Changes)
	// Report takes the outcome of a target of a credential.
	Report(c *credential.Credential, t credential.Target, out Outcome)
	// Forget drops a target that is served no longer.
	Forget(t credential.Target)
	// Failure is why an entry of a target has no new token; nil if nothing is known.
	Failure(t credential.Target, entry string) *credential.Failure
}

// result says when the target must be looked at again if no event comes before; a RequeueAfter of 0 sets no timer.
func (o Outcome) result(now time.Time) reconcile.Result {
	if o.CacheBehind {
		return reconcile.Result{RequeueAfter: apiserver.CacheLag}
	}
	if o.Suspended {
		return reconcile.Result{}
	}
	next := o.again
	if o.Failure != nil {
		next = sooner(next, o.Failure.RetryAfter)
	}
	if o.rejected {
		return reconcile.Result{RequeueAfter: next}
	}
	var expires time.Time
	for _, e := range o.Entries {
		next = sooner(sooner(sooner(next, e.recheckIn), e.lapsesIn(now)), e.next(now))
		if at := e.Record.ExpiresAt; e.Known && (expires.IsZero() || at.Before(expires)) {
			expires = at
		}
	}
	return reconcile.Result{RequeueAfter: next, Priority: new(priority(expires, now.Add(next)))}
}

// sooner is the shorter of two waits; 0 is for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
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
func logOutcome(ctx context.Context, out Outcome) {
	say := func(what string, values ...any) { log.FromContext(ctx).V(1).Info(what, values...) }
	if out.Failure != nil {
		say("Target failed", "reason", out.Failure.Reason, "message", out.Failure.Message)
	}
	for _, e := range out.Entries {
		if e.Failure != nil {
			say("Entry failed", "registry", e.Name, "reason", e.Failure.Reason, "message", e.Failure.Message,
				"expiresAt", e.Record.ExpiresAt, "retryAfter", e.Failure.RetryAfter.String())
		}
	}
	if out.Wrote != "" {
		say("Wrote Secret", "cause", out.Wrote)
	}
}
