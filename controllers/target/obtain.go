package target

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

// obtain decides for each entry whether it is stale, and asks for a token if so.
func (r *Reconciler) obtain(ctx context.Context, t credential.Target, c *credential.Credential, o observed) []*Entry {
	entries := make([]*Entry, len(c.Spec.Registries))
	var sources []string
	for i, spec := range c.Spec.Registries {
		entries[i] = newEntry(c, t, spec)
		entries[i].hold(o)
		sources = append(sources, r.obtainOne(ctx, t, c, spec, o, entries[i])...)
	}
	r.Tokens.Keep(t.Credential.String(), sources)
	refuseDuplicateHosts(entries)
	return entries
}

// obtainOne returns the sources that the entry names: its provider's, and that of a login by hand.
func (r *Reconciler) obtainOne(ctx context.Context, t credential.Target, c *credential.Credential, spec v1alpha1.Registry, o observed, e *Entry) []string {
	req, err := r.request(ctx, c, spec)
	// What it was made from is still what it will be made from, as far as is known.
	sources := []string{e.Record.Source}
	if err == nil {
		sources = []string{req.Source()}
	}
	e.recheckIn = r.recheckIn(c, spec)
	hand, invalid := r.byHand(ctx, c, spec, e)
	if known, ok := errors.AsType[*providers.Error](invalid); ok && known.Scope == providers.ScopeKubernetes {
		// A login that cannot be looked at just now is no reason to take it back.
		e.fail(invalid)
		return append(sources, e.Record.Source)
	}
	var unpublished *credential.Failure
	switch {
	case invalid != nil:
		unpublished = overrideFailure(credential.FailureOf(invalid))
	case hand != nil:
		sources = append(sources, hand.Source())
		if unpublished = r.publishByHand(t, e, *hand, o); unpublished == nil {
			if err == nil {
				r.askAhead(e, req)
			}
			return sources
		}
	}
	if err != nil {
		e.fail(err)
		return sources
	}
	if e.Record.Earlier() && !e.DueAt.Equal(providers.Never) {
		// It counts as made from what the source is now, until it is due. What never is due is read anew, at no call: nobody would ever notice
		// that its source has changed.
		e.Record.Source = req.Source()
	}
	r.ask(t, e, req)
	e.Failure = bothFailures(unpublished, e.Failure)
	return sources
}

// ask asks for a token of the entry from this source if it is stale.
func (r *Reconciler) ask(t credential.Target, e *Entry, req providers.Request) {
	e.req = &req
	now := r.Clock.Now()
	if e.Cause = staleEntry(e, wanted{req, r.refusedUntil(t, req), now}); e.Cause != "" {
		r.refresh(t, e, now)
	} else if e.Record.Verified == metav1.ConditionUnknown {
		if held, ok := r.Tokens.Held(req); ok {
			e.Unproven = held.Unproven
		}
	}
}
