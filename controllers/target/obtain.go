package target

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

// obtain decides for each entry whether it is stale, and asks for a token if so. Where a record alone claims a host that another entry has, the
// Secret is not believed: that is no fault of the credential.
func (r *Reconciler) obtain(ctx context.Context, t credential.Target, c *credential.Credential, o observed) (observed, []*EntryState) {
	entries := r.askAll(ctx, t, c, o)
	if _, forged := r.refuseDuplicateHosts(entries); !forged {
		return o, entries
	}
	entries = r.askAll(ctx, t, c, o.asForged())
	if refused, _ := r.refuseDuplicateHosts(entries); refused {
		return o, entries // the record was right
	}
	return o.asForged(), entries
}

// askAll looks at each entry without regard to the others.
func (r *Reconciler) askAll(ctx context.Context, t credential.Target, c *credential.Credential, o observed) []*EntryState {
	entries := make([]*EntryState, len(c.Spec.Registries))
	sources, known := make([]string, 0, len(entries)), true
	for i := range c.Spec.Registries {
		entries[i] = newEntry(c, t, &c.Spec.Registries[i])
		var ok bool
		sources, ok = r.askOne(ctx, t, c, o, entries[i], sources)
		known = known && ok
	}
	// What is not known, since an identity is missing, stays as it is: the same is kept for all targets, whatever stands on the Secret of one.
	if known {
		r.Tokens.SetSources(t.Credential.Owner(), sources)
	}
	return entries
}

// askOne adds the sources that the entry names by itself: its provider's, and that of a login by hand, unless its hosts are what the Secret
// says. known is whether these are all.
func (r *Reconciler) askOne(ctx context.Context, t credential.Target, c *credential.Credential, o observed, e *EntryState, sources []string) (all []string, known bool) {
	spec := e.spec
	req, err := r.requestOf(ctx, c, spec)
	if known = err == nil; known {
		e.providerSource = req.Source()
		sources = append(sources, e.providerSource)
	}
	e.reset(o)
	e.recheckIn = r.recheckIn(c, spec)
	hand, invalid := r.byHand(ctx, c, spec, e)
	if f, ok := errors.AsType[*providers.Error](invalid); ok && f.Scope == providers.ScopeKubernetes {
		// A login that cannot be looked at just now is no reason to take it back.
		e.fail(invalid)
		return sources, false
	}
	var unpublished *credential.Failure
	switch {
	case invalid != nil:
		unpublished = overrideFailure(credential.FailureOf(invalid))
	case hand != nil:
		if len(r.Tokens.Hosts(spec)) > 0 {
			sources = append(sources, hand.Source())
		}
		if unpublished = r.publishByHand(t, e, *hand, o); unpublished == nil {
			if err == nil {
				r.askAhead(e, req)
			}
			return sources, known
		}
	}
	if err != nil {
		e.fail(err)
		return sources, known
	}
	if e.Record.Earlier() && !e.DueAt.Equal(providers.Never) {
		// It counts as made from what the source is now, until it is due. What never is due is read anew, at no call: nobody would ever notice
		// that its source has changed.
		e.Record.Source = req.Source()
	}
	r.ask(t, e, req)
	e.Failure = bothFailures(unpublished, e.Failure)
	return sources, known
}

// ask asks for a token of the entry from this source if it is stale.
func (r *Reconciler) ask(t credential.Target, e *EntryState, req providers.Request) {
	e.req = &req
	now := r.Clock.Now()
	if e.Cause = staleEntry(e, wanted{req, r.refusedIssuedAt(t, req), now}); e.Cause != "" {
		r.refresh(t, e, now)
	} else if e.Record.Verified == metav1.ConditionUnknown {
		if held, ok := r.Tokens.InMemory(req); ok {
			e.Unproven = held.Unproven
		}
	}
}

// refresh asks for a token of a stale entry.
func (r *Reconciler) refresh(t credential.Target, e *EntryState, now time.Time) {
	req, urgency := *e.req, priority(e.Record.ExpiresAt, now)
	req.Urgency = urgency
	if e.Known && e.Record.RefreshStamp == req.RefreshStamp {
		req.RefreshStamp = ""
	}
	token, err := r.Tokens.Token(req, r.newerThan(e, req, now), waiter{r, t, urgency})
	if err != nil {
		e.fail(err)
		r.standIn(e)
		return
	}
	e.take(token, r.authsOf(token))
	e.Fresh = true
	r.condemned.Delete(condemned{t, e.Name})
}

// newerThan is the time after which the token of a stale entry is to be minted. A token in memory will do, unless it is due itself: then it only
// stands in for the next. What a record says of the time of its token counts only where nothing is in memory.
func (r *Reconciler) newerThan(e *EntryState, req providers.Request, now time.Time) time.Time {
	held, ok := r.Tokens.InMemory(req)
	switch {
	case ok && !now.Before(e.due(pullsecret.NewRecord(e.Name, "", held))):
		return held.IssuedAt
	case !ok && (e.Cause == CauseRefused || e.Cause == CauseDue):
		return e.Record.IssuedAt
	default:
		return time.Time{}
	}
}

// waiter is a target that waits for a token.
type waiter struct {
	*Reconciler
	target  credential.Target
	urgency int
}

func (w waiter) Wake() { w.Reconciler.Wake(w.target, w.urgency) }

// standIn publishes what is in memory, if it is newer than what the Secret holds, when the token that was asked for is not to be
// had: a Secret that was deleted or edited does not wait for a refresh request that fails. The request stays open.
func (r *Reconciler) standIn(e *EntryState) {
	token, ok := r.Tokens.InMemory(*e.req)
	if !ok || e.Known && !token.IssuedAt.After(e.Record.IssuedAt) {
		return
	}
	answered := e.Record.RefreshStamp
	e.take(token, r.authsOf(token))
	e.Record.RefreshStamp, e.Fresh = answered, true
}
