package target

import (
	"errors"
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

// EntryState is one registry entry of a target in the making.
type EntryState struct {
	Name string
	// Cause is why it needs a new token; "" when it does not.
	Cause Cause
	// Record is what the Secret says of it, or is about to say; Known is whether there is one.
	Record pullsecret.Record
	Known  bool
	// DueAt is when the token of the record is to be renewed.
	DueAt time.Time
	// Fresh is whether it has a token that the Secret did not hold yet.
	Fresh bool
	// Withheld is whether there is a token that was not written, for want of the others.
	Withheld bool
	Failure  *credential.Failure
	// Unproven is why nobody knows whether the published token may pull, although it was tried.
	Unproven string
	// optional is whether pulls need no login of it.
	optional bool
	// OverrideUntil is the end of the override, if the record is of one; zero if it is of a provider's token.
	OverrideUntil time.Time
	// WasOverridden is whether the Secret held a login by hand before.
	WasOverridden bool

	// req is what its token is made from; nil when its identity could not be resolved.
	req *providers.Request
	// providerSource is what its provider's token is made from; "" when its identity could not be resolved.
	providerSource string
	// until is when the override of the spec ends; zero without one.
	until time.Time
	// credential, namespace and spec are what it is an entry of, and for.
	credential *credential.Credential
	namespace  string
	spec       *v1alpha1.Registry
	// auths is its part of the Secret, when known, and readBack whether it comes from there, where others write, too.
	auths    pullsecret.Auths
	readBack bool
	// pendingSince is since when it waits for a token, and againIn when to ask for it again if nobody says when; 0 if somebody does.
	pendingSince time.Time
	againIn      time.Duration
	// recheckIn is when an identity that is not watched must be looked at again.
	recheckIn time.Duration
}

func newEntry(c *credential.Credential, t credential.Target, spec *v1alpha1.Registry) *EntryState {
	e := &EntryState{Name: spec.Name, optional: optional(spec), credential: c, namespace: t.Namespace, spec: spec}
	if spec.Override != nil {
		e.until = spec.Override.Until.UTC().Truncate(time.Second)
	}
	return e
}

// due is when the token of a record is to be renewed.
func (e *EntryState) due(r pullsecret.Record) time.Time {
	return dueAt(e.credential, e.namespace, e.spec, r)
}

// take puts a token, which looks like auths in a Secret, into the entry.
func (e *EntryState) take(token providers.Token, auths pullsecret.Auths) {
	e.auths, e.Unproven = auths, token.Unproven
	record := pullsecret.NewRecord(e.Name, e.req.Source(), token)
	record.RefreshStamp = e.req.RefreshStamp
	e.set(record)
}

func (e *EntryState) set(record pullsecret.Record) {
	e.Record, e.Known, e.DueAt, e.OverrideUntil = record, true, e.due(record), time.Time{}
	if !e.until.IsZero() && record.ExpiresAt.Equal(e.until) && record.Source != e.providerSource {
		e.DueAt, e.OverrideUntil = e.until, e.until
	}
}

// reset goes by what the Secret says of the entry.
func (e *EntryState) reset(o observed) {
	e.Unproven = ""
	record, known := o.Records[e.Name]
	if known {
		e.set(record)
		e.WasOverridden = !e.OverrideUntil.IsZero()
		return
	}
	e.Record, e.Known, e.DueAt, e.OverrideUntil = record, false, time.Time{}, time.Time{}
}

func (e *EntryState) fail(err error) {
	if pending, ok := errors.AsType[*providers.PendingError](err); ok {
		e.pendingSince, e.againIn = pending.Since, pending.RetryAfter
		return
	}
	e.Failure = credential.FailureOf(err)
}

// Pending says whether a call is under way for it.
func (e *EntryState) Pending() bool { return !e.pendingSince.IsZero() && e.againIn == 0 }

// Deferred says whether it will be refreshed as somebody has asked for, a while after the last such request was answered.
func (e *EntryState) Deferred() bool {
	return e.Cause == CauseRefreshRequested && e.againIn > 0 && e.Failure == nil
}

// withdraw undoes what was taken into the entries and not written.
func withdraw(o observed, entries []*EntryState) {
	for _, e := range entries {
		if e.Fresh {
			e.reset(o)
			e.Fresh, e.Withheld = false, true
		}
	}
}

// drop leaves the entry out of the Secret.
func (e *EntryState) drop() { e.auths, e.Fresh, e.Known = nil, false, false }

// madeFromNow says whether the record names the source that the entry has now.
func (e *EntryState) madeFromNow() bool { return e.req != nil && e.Record.Source == e.req.Source() }

func anyAuth(entries []*EntryState) bool {
	return slices.ContainsFunc(entries, (*EntryState).Published)
}

func firstFresh(entries []*EntryState) Cause {
	for _, e := range entries {
		if e.Fresh {
			return e.Cause
		}
	}
	return ""
}

// next is when the entry has something to do; 0 for never.
func (e *EntryState) next(now time.Time) time.Duration {
	switch {
	case e.Failure != nil:
		return e.Failure.RetryAfter
	case e.againIn > 0:
		return e.againIn
	case e.Pending():
		if grace := pendingGrace - now.Sub(e.pendingSince); grace > 0 {
			return grace
		}
		// The end of the call brings the target back: thousands that wait for a cloud that hangs need not look every few seconds.
		return credential.RetryAfter
	case e.Withheld:
		return pendingGrace
	case e.DueAt.Equal(providers.Never):
		return 0
	default:
		return max(e.DueAt.Sub(now), soon)
	}
}

// Published says whether the Secret holds a token of the entry, or would if it were written.
func (e *EntryState) Published() bool { return len(e.auths) > 0 }
