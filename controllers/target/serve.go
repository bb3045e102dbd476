package target

import (
	"cmp"
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
)

// Reconcile serves the target, or gives it up when no credential claims it any more.
func (r *Reconciler) Reconcile(ctx context.Context, t credential.Target) (reconcile.Result, error) {
	c, err := credential.Get(ctx, r.Cache, t.Credential)
	if err != nil {
		return reconcile.Result{}, err
	}
	switch {
	case c == nil:
		r.Unused(t.Credential)
	case c.Spec.Suspend:
		r.Tokens.Suspend(t.Credential.Owner())
	}
	ns, err := view.Namespace(ctx, r.Cache, t.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	switch taskFor(t, c, ns, r.Excluded) {
	case taskForget:
		r.Forget(t)
		return reconcile.Result{}, nil
	case taskGiveUp:
		r.giveUp(c, t)
		return r.release(ctx, t, c)
	case taskRelease:
		return r.release(ctx, t, c)
	case taskServe:
	}
	out, err := r.serve(ctx, t, c, false)
	if errors.Is(err, errUnseen) {
		out, err = r.serve(ctx, t, c, true)
	}
	switch {
	case apiserver.IsTerminating(err):
		r.Forget(t)
		return reconcile.Result{}, nil
	case ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // the controller stops; the next leader goes on
	case err != nil && out.Failure == nil:
		out.Failure = unwritten(t, err)
	}
	r.Outcomes.Report(c, t, out)
	logOutcome(ctx, out)
	if err != nil {
		return reconcile.Result{}, err // which the queue spaces out
	}
	return out.result(r.Clock.Now()), nil
}

// Unused is told of a credential that needs no token any more.
func (r *Reconciler) Unused(key credential.Key) { r.Tokens.SetSources(key.Owner(), nil) }

// serve is the straight line: link, observe, decide, obtain, write, report. It looks for what the cache does not show if look says so, or if it
// cannot do without.
func (r *Reconciler) serve(ctx context.Context, t credential.Target, c *credential.Credential, look bool) (Outcome, error) {
	if f := r.Scope.Refuses(t); f != nil {
		return Outcome{Failure: f}, nil
	}
	if f := r.ownSource(t, c); f != nil {
		return Outcome{Failure: f, Suspended: c.Spec.Suspend}, nil
	}
	if c.Spec.Suspend {
		return r.inspect(ctx, t, c)
	}
	secret, err := view.Secret(ctx, r.Cache, t)
	if err != nil {
		return Outcome{}, err
	}
	if r.cacheBehind(t, secret) {
		return Outcome{CacheBehind: true}, nil
	}
	blind := false
	if secret == nil {
		if f, err := r.yield(ctx, t, c); f != nil || err != nil {
			return Outcome{Failure: f}, err
		}
		if f := r.conflictOf(t, c); f != nil {
			return Outcome{Failure: f}, nil
		}
		if blind = !look && r.createsFirst(ctx, t, c); !blind {
			secret, err = r.readUnwatched(ctx, t)
		}
		if err != nil {
			return Outcome{}, err
		}
	}
	o := r.observe(c, secret)
	o.blind = blind
	if f := conflict(o); f != nil {
		return Outcome{Failure: r.noteConflict(t, c, f)}, nil
	}
	r.conflicts.Delete(t)
	return r.update(ctx, t, c, o)
}

// update is the second half of the line, for a Secret that may be written.
func (r *Reconciler) update(ctx context.Context, t credential.Target, c *credential.Credential, o observed) (Outcome, error) {
	o, again, err := r.compare(ctx, t, o)
	if err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return r.outrun(t, c, o), nil
		}
		return Outcome{}, err
	}
	links, lost := link.Outcome{}, error(nil)
	if !o.blind { // nothing is linked to a Secret before it is known whose it is
		links, lost = r.links.Sync(ctx, r.api(), t, r.wishes(ctx, t, c))
		r.Outcomes.Linked(t.Credential, links.Done)
	}
	if apiserver.IsTerminating(lost) || ctx.Err() != nil {
		return Outcome{}, lost
	}
	out, err := r.converge(ctx, t, c, o)
	if errors.Is(err, errUnseen) {
		return Outcome{}, err
	}
	if err != nil && (apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err)) {
		return r.outrun(t, c, o), nil
	}
	r.outruns.Delete(t)
	if again > 0 && out.Wrote == "" && !anyFresh(out.Entries) {
		out.Uncompared = true
		if out.Failure == nil {
			out.Failure = uncompared(t, o, again)
		}
	}
	if err != nil {
		out.Failure = unwritten(t, err)
	}
	out.again = sooner(out.again, again)
	switch {
	case lost == nil:
	case apierrors.IsConflict(lost):
		out.again = sooner(out.again, apiserver.CacheLag)
	default:
		links.Failure = credential.Unanswered("linking the ServiceAccounts of namespace "+t.Namespace, lost)
		links.Unlinked = links.Unlinked || c.Spec.ServiceAccounts != nil // for all that is known
		err = cmp.Or(err, lost)
	}
	out.Failure, out.Unlinked = together(out.Failure, links.Failure), links.Unlinked
	return out, err
}

// unwritten is the failure of a target that the API server could not serve.
func unwritten(t credential.Target, err error) *credential.Failure {
	return credential.Unanswered("writing Secret "+t.Secret().String(), err)
}

// together tells of two failures, and the first decides; nil is no failure.
func together(secret, links *credential.Failure) *credential.Failure {
	if secret == nil || links == nil {
		return cmp.Or(secret, links)
	}
	both := *secret
	both.Message += "; " + links.Message
	both.RetryAfter = sooner(secret.RetryAfter, links.RetryAfter)
	return &both
}

// giveUp reports a target that is not to be served.
func (r *Reconciler) giveUp(c *credential.Credential, t credential.Target) {
	if c != nil && c.Namespace != "" {
		r.Outcomes.Report(c, t, Outcome{Failure: credential.Excluded(t.Namespace)})
		return
	}
	if c != nil {
		r.Forget(t)
		return
	}
	r.forget(t) // how a credential that is gone has stood is told of first
}

// converge brings one observed Secret up to date with at most one write.
func (r *Reconciler) converge(ctx context.Context, t credential.Target, c *credential.Credential, o observed) (Outcome, error) {
	if gone, err := r.credentialGone(ctx, t, c, staleSecret(c, o)); gone || err != nil {
		return Outcome{Failure: goneFailure(c)}, err
	}
	o, entries := r.obtain(ctx, t, c, o)
	out := Outcome{Entries: entries, Retained: retained(o.secret)}
	step, why := plan(staleSecret(c, o), out.Entries, r.Clock.Now())
	if step == stepLeave {
		return out, nil
	}
	if f := r.contended(t, why); f != nil {
		withdraw(o, out.Entries)
		out.Failure, out.rejected = f, true
		return out, nil
	}
	if step == stepWait {
		withdraw(o, out.Entries)
		return out, nil
	}
	return r.publish(ctx, t, o, why, out)
}

// publish writes what was obtained, and what the Secret holds of the rest; nothing is left of a Secret without a login.
func (r *Reconciler) publish(ctx context.Context, t credential.Target, o observed, why Cause, out Outcome) (Outcome, error) {
	lapsed := lapse(out.Entries, r.Clock.Now())
	if err := r.complete(ctx, t, o, out.Entries); err != nil {
		withdraw(o, out.Entries)
		return out, err
	}
	release, ok := r.roomToWrite(t, out.Entries)
	if !ok {
		withdraw(o, out.Entries)
		out.again = pendingGrace
		return out, nil
	}
	defer release()
	if !anyAuth(out.Entries) {
		if lapsed {
			why = CauseLapsed
		}
		return r.deleteEmpty(ctx, why, o, out)
	}
	_, had := r.seals.get(t) // else it is the first, and nobody has deleted one
	changed, rejection, err := r.write(ctx, t, o, out.Entries)
	if err != nil || rejection != nil {
		withdraw(o, out.Entries)
		out.Failure, out.rejected = rejection, true
	}
	if changed {
		out.Retained = o.owner.Retain
	}
	if rejection == nil && err == nil && why.repairs() && (had || why != CauseMissing) {
		r.repairs.Spend(t, rivalOf(o))
	}
	switch {
	case changed && why != "":
		out.Wrote = why
	case changed:
		out.Wrote = firstFresh(out.Entries)
	}
	return out, err
}
