// Package target keeps one Secret in one namespace: one straight line from an event to a Secret.
package target

import (
	"context"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/internal/truce"
	"github.com/regcred/regcred/providers"
)

const (
	// pendingGrace is how long a Secret waits for all of its entries, so that it is written once. A cloud that takes longer
	// is left behind: the others are published without it.
	pendingGrace = 2 * time.Second
)

// Tokens is where tokens come from.
type Tokens interface {
	// Token returns a live token that was minted later than newerThan and after the refresh request of req, or a *providers.PendingError,
	// and calls wake once when there is news.
	Token(req providers.Request, newerThan time.Time, wake func()) (providers.Token, error)
	// Held returns the live token from the source of req that is in memory.
	Held(req providers.Request) (providers.Token, bool)
	// RefusedUntil is when the token was issued that a registry has refused; the zero time if none was.
	RefusedUntil(req providers.Request) time.Time
	// Keep says which sources a credential names from now on.
	Keep(owner string, sources []string)
	// Annotations are the keys of a ServiceAccount's annotations that a token of the entry may depend on.
	Annotations(entry *v1alpha1.Registry) []string
	// Hosts are those that a token of the entry is for, as far as that is known without one.
	Hosts(entry *v1alpha1.Registry) []string
	// Spare lets a token that was minted for the tenant, a namespace or "" for the cluster, live to its end.
	Spare(tenant, name string)
}

// Config is what a Reconciler works with.
type Config struct {
	// Cache reads what package view holds.
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
	Excluded view.Excluded
	// Scope is what may be read and written.
	Scope view.Scope
	// AllowAmbientIdentity lets a RegistryCredential use the controller's own identity.
	AllowAmbientIdentity bool
	// Wake brings a target back; a higher priority goes first.
	Wake func(t credential.Target, priority int)
	// Outcomes takes the outcome of every reconcile.
	Outcomes Outcomes
}

// Reconciler brings one Secret in one namespace to what its credential says.
type Reconciler struct {
	Config

	// identities are the Secrets that entries name, and that are missing or no identities.
	identities *expiring.Map[client.ObjectKey, noIdentity]
	// written are the resource versions of our own last writes, until the cache shows them.
	written *expiring.Map[credential.Target, string]
	// seals are what the Secrets were when we wrote them, and compared how often they were read since to see whether they still are.
	seals    *seals
	compared *truce.Fights[credential.Target]
	// contents are hashes of identities' data, by UID and resource version.
	contents *expiring.Map[string, string]
	// condemned are the tokens that a registry has refused in one Secret.
	condemned *expiring.Map[condemned, time.Time]
	// selected are the credentials of namespaces, as they were lately.
	selected *expiring.Map[string, []*credential.Credential]
	// absent are Secrets that were not there when the API server was asked, standoffs those that are not ours, and fights those that somebody
	// else changes again and again.
	absent    *expiring.Map[credential.Target, struct{}]
	standoffs *expiring.Map[credential.Target, standoff]
	fights    *truce.Fights[credential.Target]
	links     *link.Linker
	// ended says of credentials whether they are no more though the cache shows them.
	ended *expiring.Map[types.UID, bool]
	// inspected are the Secrets of suspended credentials that are not in the cache, as they were found.
	inspected *expiring.Map[credential.Target, inspection]
}

const (
	// expectFor is how long the cache is trusted to show our own write; it bounds the harm of a watch that missed one.
	expectFor = 5 * time.Second
	// writtenAtOnce bounds our own writes that the cache may not show yet.
	writtenAtOnce = 1 << 16
	// endedFor is how long it is believed that a credential is there, or is no more.
	endedFor = 10 * time.Second
	// inspectedFor is how long a Secret may be there before it is noticed that a suspended credential would meet it.
	inspectedFor = 30 * time.Minute
	// identitiesAtOnce bounds the identities that are remembered.
	identitiesAtOnce = 4096
)

// New returns a Reconciler that remembers nothing yet.
func New(c Config) *Reconciler {
	return &Reconciler{
		Config:     c,
		identities: expiring.New[client.ObjectKey, noIdentity](c.Clock, missingSecret, identitiesAtOnce),
		written:    expiring.New[credential.Target, string](c.Clock, expectFor, writtenAtOnce),
		inspected:  expiring.New[credential.Target, inspection](c.Clock, inspectedFor, writtenAtOnce),
		contents:   expiring.New[string, string](c.Clock, contentsFor, identitiesAtOnce),
		condemned:  expiring.New[condemned, time.Time](c.Clock, condemnedFor, condemnedAtOnce),
		selected:   expiring.New[string, []*credential.Credential](c.Clock, time.Second, namespacesAtOnce),
		absent:     expiring.New[credential.Target, struct{}](c.Clock, absentFor, targetsAtOnce),
		standoffs:  expiring.New[credential.Target, standoff](c.Clock, 2*lastConflict, targetsAtOnce),
		fights:     truce.New[credential.Target](c.Clock, targetsAtOnce),
		links:      link.New(c.Clock),
		ended:      expiring.New[types.UID, bool](c.Clock, endedFor, identitiesAtOnce),
		seals:      newSeals(targetsAtOnce),
		compared:   truce.New[credential.Target](c.Clock, targetsAtOnce),
	}
}

// Reconcile serves the target, or gives it up when no credential claims it any more.
func (r *Reconciler) Reconcile(ctx context.Context, t credential.Target) (reconcile.Result, error) {
	c, err := credential.Get(ctx, r.Cache, t.Credential)
	if err != nil {
		return reconcile.Result{}, err
	}
	if c == nil {
		r.Tokens.Keep(t.Credential.String(), nil)
	}
	ns, err := view.Namespace(ctx, r.Cache, t.Namespace)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case ns == nil:
		r.Forget(t)
		return reconcile.Result{}, nil
	case c != nil && t.Name != c.SecretName():
		return r.release(ctx, t, c)
	case c != nil && c.Spec.Suspend && !c.Selects(ns):
		r.Forget(t)
		return reconcile.Result{}, nil
	case c == nil || !c.Selects(ns) || r.Excluded.Has(t.Namespace):
		r.giveUp(c, t)
		return r.release(ctx, t, c)
	}
	out, err := r.serve(ctx, t, c)
	switch {
	case credential.IsGone(err):
		r.Forget(t)
		return reconcile.Result{}, nil
	case ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // the controller stops; the next leader goes on
	case err != nil && out.Failure == nil:
		out.Failure = credential.Unanswered("writing Secret "+t.Secret().String(), err)
	}
	r.Outcomes.Report(c, t, out)
	logOutcome(ctx, out)
	if err != nil {
		return reconcile.Result{}, err // which the queue spaces out
	}
	return out.result(r.Clock.Now()), nil
}

// serve is the straight line: link, observe, decide, obtain, write, report.
func (r *Reconciler) serve(ctx context.Context, t credential.Target, c *credential.Credential) (Outcome, error) {
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
	if r.ahead(t, secret) {
		return Outcome{Unseen: true}, nil
	}
	if secret == nil {
		if f, err := r.yield(ctx, t, c); f != nil || err != nil {
			return Outcome{Failure: f}, err
		}
		if f := r.standing(t, c); f != nil {
			return Outcome{Failure: f}, nil
		}
		if secret, err = r.unwatched(ctx, t); err != nil {
			return Outcome{}, err
		}
	}
	o := r.observe(c, secret)
	if f := conflict(c, o); f != nil {
		return Outcome{Failure: r.stand(t, c, f)}, nil
	}
	r.standoffs.Delete(t)
	o, again, err := r.compare(ctx, t, o)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return Outcome{Unseen: true}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	linked, unlinked, lost := r.links.Reconcile(ctx, r.api(), t, r.wishes(ctx, t, c))
	r.Outcomes.Linked(t.Credential, linked)
	if credential.IsGone(lost) || ctx.Err() != nil {
		return Outcome{}, lost
	}
	out, err := r.keep(ctx, t, c, o)
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		// The Secret has changed since it was observed; the event of that change brings us back, too.
		r.absent.Delete(t)
		return Outcome{Unseen: true}, nil
	}
	if out.Failure == nil {
		out.Failure = unlinked
	}
	if out.again = again; lost != nil {
		out.again = sooner(again, expectFor)
	}
	return out, err
}

// keep brings one observed Secret up to date with at most one write.
func (r *Reconciler) keep(ctx context.Context, t credential.Target, c *credential.Credential, o observed) (Outcome, error) {
	why := staleSecret(c, o)
	if gone, err := r.gone(ctx, t, c, why); gone || err != nil {
		return Outcome{Failure: ended(c)}, err
	}
	out := Outcome{Entries: r.obtain(ctx, t, c, o)}
	now := r.Clock.Now()
	lapsed := slices.ContainsFunc(out.Entries, func(e *Entry) bool { return e.lapsed(now) })
	if why == "" && !lapsed && !anyFresh(out.Entries) {
		return out, nil
	}
	if f := r.contended(t, why); f != nil {
		withdraw(o, out.Entries)
		out.Failure = f
		return out, nil
	}
	if waiting(out.Entries, now) {
		withdraw(o, out.Entries)
		return out, nil
	}
	if lapse(out.Entries, now) && why == "" {
		why = CauseLapsed
	}
	if err := r.complete(ctx, t, o, out.Entries); err != nil {
		withdraw(o, out.Entries)
		return out, err
	}
	if !anyAuth(out.Entries) {
		if lapsed {
			why = CauseLapsed
		}
		return r.empty(ctx, why, o, out)
	}
	changed, rejection, err := r.write(ctx, t, c, o, out.Entries)
	if err != nil || rejection != nil {
		withdraw(o, out.Entries)
		out.Failure = rejection
	}
	if changed && why.repairs() {
		r.fights.Repaired(t, rivalOf(o))
	}
	switch {
	case changed && why != "":
		out.Wrote = why
	case changed:
		out.Wrote = firstFresh(out.Entries)
	}
	return out, err
}

// refresh asks for a token of a stale entry. A token in memory will do, unless it is due itself: then it only stands in for the next. What a
// record says of the time of its token counts only where nothing is in memory.
func (r *Reconciler) refresh(t credential.Target, e *Entry, now time.Time) {
	req, urgency := *e.req, priority(e.Record.ExpiresAt, now)
	req.Urgency = urgency
	if e.Known && e.Record.Refresh == req.Refresh {
		req.Refresh = ""
	}
	var newerThan time.Time
	held, ok := r.Tokens.Held(req)
	switch {
	case ok && !now.Before(e.due(pullsecret.NewRecord(e.Name, "", held))):
		newerThan = held.IssuedAt
	case !ok && (e.Cause == CauseRefused || e.Cause == CauseDue):
		newerThan = e.Record.IssuedAt
	}
	token, err := r.Tokens.Token(req, newerThan, func() { r.Wake(t, urgency) })
	if err != nil {
		e.fail(err)
		r.standIn(e)
		return
	}
	e.take(token)
	e.Fresh = true
	r.condemned.Delete(condemned{t, e.Name})
}

// standIn publishes what is in memory, if it is newer than what the Secret holds, when the token that was asked for is not to be
// had: a Secret that was deleted or edited does not wait for a refresh request that fails. The request stays open.
func (r *Reconciler) standIn(e *Entry) {
	token, ok := r.Tokens.Held(*e.req)
	if !ok || e.Known && !token.IssuedAt.After(e.Record.IssuedAt) {
		return
	}
	answered := e.Record.Refresh
	e.take(token)
	e.Record.Refresh, e.Fresh = answered, true
}

// giveUp reports a target that is not to be served.
func (r *Reconciler) giveUp(c *credential.Credential, t credential.Target) {
	if c != nil && c.Namespace != "" {
		r.Outcomes.Report(c, t, Outcome{Failure: credential.Excluded(t.Namespace)})
		return
	}
	r.Forget(t)
}

// Forget drops what is remembered of a target that is served no longer, or whose namespace was deleted: a namesake starts anew.
func (r *Reconciler) Forget(t credential.Target) {
	r.written.Delete(t)
	r.seals.delete(t)
	r.absent.Delete(t)
	r.standoffs.Delete(t)
	r.inspected.Delete(t)
	r.Outcomes.Forget(t)
}

// ahead says whether our last write is newer than what the cache shows.
func (r *Reconciler) ahead(t credential.Target, secret *metav1.PartialObjectMetadata) bool {
	wrote, ok := r.written.Get(t)
	if !ok {
		return false
	}
	if secret == nil {
		return true
	}
	if order, err := resourceversion.CompareResourceVersion(secret.ResourceVersion, wrote); err == nil && order < 0 {
		return true
	}
	r.written.Delete(t)
	return false
}

// Deleted stops expecting a write of ours in the cache when the Secret is deleted.
func (r *Reconciler) Deleted(secret client.Object) {
	if t, ok := credential.TargetOf(secret); ok {
		r.written.Delete(t)
		r.seals.delete(t)
	}
}
