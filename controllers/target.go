// Package controllers keeps the Secrets that credentials declare: one straight line from an event to a Secret.
package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/providers"
)

const (
	// pendingGrace is how long a Secret waits for all of its entries, so that it is written once. A cloud that takes longer
	// is left behind: the others are published without it.
	pendingGrace = 2 * time.Second
	// retryAfter is when a target that no event will bring back is looked at again.
	retryAfter = 2 * time.Minute
)

// Tokens is where tokens come from.
type Tokens interface {
	// Token returns a live token that expires later than newerThan, or a *providers.PendingError and calls wake once when there is news.
	Token(req providers.Request, newerThan time.Time, wake func()) (providers.Token, error)
	// Held returns the best live token from the source of req that is in memory.
	Held(req providers.Request) (providers.Token, bool)
	// RefusedAt is when a registry refused the token of the source of req; "" if that concerns nobody.
	RefusedAt(req providers.Request) string
	// Revoke ends a token that it has minted and no longer hands out, and calls done once.
	Revoke(id string, done func(error))
}

// TargetReconciler brings one Secret in one namespace to what its credential says.
type TargetReconciler struct {
	// Cache reads what CacheOptions holds.
	Cache client.Reader
	// Live reads past the cache, in the few cases where a Secret's content or a foreign Secret must be looked at.
	Live client.Reader
	// Client writes.
	Client client.Client
	// Tokens mints and remembers tokens.
	Tokens Tokens
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Namespace is the controller's own; identities of ClusterRegistryCredentials are read there.
	Namespace string
	// Excluded namespaces never hold a target.
	Excluded sets.Set[string]
	// Scope is what may be read and written.
	Scope Scope
	// AllowAmbientIdentity lets a RegistryCredential use the controller's own identity.
	AllowAmbientIdentity bool
	// Wake brings a target back; a higher priority goes first.
	Wake func(t Target, priority int)
	// Ledger takes the outcome of every reconcile.
	Ledger *Ledger

	versions   versions
	written    expectations
	superseded superseded
}

// Reconcile serves the target, or gives it up when no credential claims it any more.
func (r *TargetReconciler) Reconcile(ctx context.Context, t Target) (reconcile.Result, error) {
	c, err := getCredential(ctx, r.Cache, t.Credential)
	if err != nil {
		return reconcile.Result{}, err
	}
	ns, err := r.namespace(ctx, t.Namespace)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case ns == nil:
		r.forget(t)
		return reconcile.Result{}, nil
	case c == nil || !c.selects(ns) || r.Excluded.Has(t.Namespace):
		r.giveUp(c, t)
		return reconcile.Result{}, ignoreGone(r.release(ctx, t, c))
	}
	revoke, err := r.revoke(ctx, t)
	if err != nil {
		return reconcile.Result{}, err
	}
	out, err := r.serve(ctx, t, c)
	switch {
	case isGone(err):
		r.forget(t)
		return reconcile.Result{}, nil
	case ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // the controller stops; the next leader goes on
	case err != nil:
		return reconcile.Result{}, err
	}
	r.Ledger.report(c, t, out, r.Clock.Now())
	logOutcome(ctx, out)
	result := out.result(r.Clock.Now())
	if revoke > 0 {
		result.RequeueAfter = sooner(result.RequeueAfter, revoke)
	}
	return result, nil
}

// serve is the straight line: link, observe, decide, obtain, write, report.
func (r *TargetReconciler) serve(ctx context.Context, t Target, c *credential) (outcome, error) {
	if f := r.Scope.refuses(t.Credential); f != nil {
		return outcome{failure: f}, nil
	}
	unlinked, err := r.link(ctx, t.Credential, c, t.Namespace)
	if err != nil {
		return outcome{}, err
	}
	secret, err := r.observedSecret(ctx, r.Cache, t)
	if err != nil {
		return outcome{}, err
	}
	if r.written.ahead(t, secret, r.Clock.Now()) {
		return outcome{unseen: true}, nil
	}
	out, err := r.keep(ctx, t, c, observe(secret))
	if apierrors.IsAlreadyExists(err) {
		// A Secret of that name is not in the cache: it is foreign, or has lost our label.
		if secret, err = r.observedSecret(ctx, r.Live, t); err != nil {
			return outcome{}, err
		}
		out, err = r.keep(ctx, t, c, observe(secret))
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		// The Secret has changed since it was observed; the event of that change brings us back, too.
		return outcome{unseen: true}, nil
	}
	if out.failure == nil {
		out.failure = unlinked
	}
	return out, err
}

// keep brings one observed Secret up to date with at most one write.
func (r *TargetReconciler) keep(ctx context.Context, t Target, c *credential, o observed) (outcome, error) {
	if f := conflict(c, o); f != nil {
		return outcome{failure: f}, nil
	}
	why := staleSecret(c, o)
	if !trusted(c, o) {
		o.records = nil
	}
	out := outcome{entries: r.obtain(ctx, t, c, o)}
	if why == "" && !anyFresh(out.entries) {
		return out, nil
	}
	if waiting(out.entries, r.Clock.Now()) {
		withdraw(o, out.entries)
		return out, nil
	}
	if err := r.complete(ctx, c, o, out.entries); err != nil {
		return out, err
	}
	if !anyAuth(out.entries) {
		return out, nil
	}
	changed, rejection, err := r.write(ctx, t, c, o, out.entries)
	switch {
	case err != nil || rejection != nil:
		withdraw(o, out.entries)
		out.failure = rejection
	default:
		r.supersede(o, out.entries)
	}
	switch {
	case changed && why != "":
		out.wrote = why
	case changed:
		out.wrote = firstFresh(out.entries)
	}
	return out, err
}

// obtain decides for each entry whether it is stale, and asks for a token if so.
func (r *TargetReconciler) obtain(ctx context.Context, t Target, c *credential, o observed) []*entry {
	now := r.Clock.Now()
	entries := make([]*entry, len(c.spec.Registries))
	for i, spec := range c.spec.Registries {
		e := &entry{name: spec.Name}
		entries[i] = e
		e.record, e.known = o.records[spec.Name]
		req, err := r.request(ctx, c, spec)
		e.lookAgain = r.lookAgainAfter(c, spec)
		if err != nil {
			e.fail(err)
			continue
		}
		e.req = &req
		if e.cause = staleEntry(o, req, now); e.cause != "" {
			r.refresh(t, c, e, now)
		}
	}
	refuseDuplicateHosts(entries)
	return entries
}

// refresh asks for a token of a stale entry. A token that lives, but is due itself, only stands in for the next.
func (r *TargetReconciler) refresh(t Target, c *credential, e *entry, now time.Time) {
	var newerThan time.Time
	if e.cause == causeDue {
		newerThan = e.record.ExpiresAt
	}
	urgency := priority(e.record.ExpiresAt, now)
	wake := func() { r.Wake(t, urgency) }
	token, err := r.Tokens.Token(*e.req, newerThan, wake)
	if err == nil && !now.Before(refreshAt(c, t.Namespace, token)) {
		token, err = r.Tokens.Token(*e.req, token.ExpiresAt, wake)
	}
	if err != nil {
		e.fail(err)
		r.standIn(t, c, e)
		return
	}
	e.take(c, t.Namespace, token)
	e.fresh = true
}

// standIn publishes what is in memory, if it is better than what the Secret holds, when the token that was asked for is not to be
// had: a Secret that was deleted or edited does not wait for a refresh request that fails. The request stays open.
func (r *TargetReconciler) standIn(t Target, c *credential, e *entry) {
	token, ok := r.Tokens.Held(*e.req)
	if !ok || e.known && !token.ExpiresAt.After(e.record.ExpiresAt) {
		return
	}
	answered := e.record.Refresh
	e.take(c, t.Namespace, token)
	e.record.Refresh, e.fresh = answered, true
}

func (r *TargetReconciler) namespace(ctx context.Context, name string) (client.Object, error) {
	ns := namespaceMetadata()
	err := r.Cache.Get(ctx, client.ObjectKey{Name: name}, ns)
	if err != nil || !ns.DeletionTimestamp.IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	return ns, nil
}

// giveUp reports a target that is not to be served.
func (r *TargetReconciler) giveUp(c *credential, t Target) {
	if c != nil && c.Namespace != "" {
		r.Ledger.report(c, t, outcome{failure: excluded(t.Namespace)}, r.Clock.Now())
		return
	}
	r.forget(t)
}

func (r *TargetReconciler) forget(t Target) {
	r.written.forget(t)
	r.Ledger.forget(t)
}

// isGone says that the namespace is being deleted under our hands, which is no error.
func isGone(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func ignoreGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
