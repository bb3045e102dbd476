package report

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
)

const (
	// Debounce gathers the outcomes of many targets in one status.
	Debounce = 250 * time.Millisecond
	// quietStart is how long the first status of a credential waits for targets that have not been heard of, and quietAgain how long one does
	// that an earlier leader has written: a restart writes nothing, and alerts nobody.
	quietStart = 5 * time.Second
	quietAgain = time.Minute
	// recheck is how often a status is looked at though nothing happens.
	recheck = 30 * time.Minute
	// timesOnly is how often the status of many targets is written when only its times have changed: a mass rotation moves them
	// with each target.
	timesOnly   = time.Minute
	manyTargets = 10
	// restAfterMany and restPerTarget are for how long a credential of very many targets is not summed up again, so that a burst of outcomes
	// costs each of them the same, however many there are.
	restAfterMany = 1000
	restPerTarget = 200 * time.Microsecond
)

// StatusReconciler writes the status of credentials, and their events. Nobody else does.
type StatusReconciler struct {
	Cache    client.Reader
	Client   client.Client
	Clock    clock.PassiveClock
	Events   events.EventRecorder
	Excluded view.Excluded
	Ledger   *Ledger
	// Unused is told of a credential that is gone, or selects no namespace: it may have no target left that would say so.
	Unused func(credential.Key)
}

// Reconcile brings the status of one credential up to date.
func (r *StatusReconciler) Reconcile(ctx context.Context, key credential.Key) (reconcile.Result, error) {
	c, err := credential.Get(ctx, r.Cache, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if c == nil {
		r.Unused(key)
		was, left := r.Ledger.drop(key)
		recordNews(ctx, r.Events, was, left)
		return reconcile.Result{}, nil
	}
	recordNews(ctx, r.Events, c, r.Ledger.takeNews(c))
	if r.stale(c) {
		return reconcile.Result{RequeueAfter: Debounce}, nil
	}
	now := r.Clock.Now()
	if left := r.Ledger.pause(key, now); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	selected, err := r.selected(ctx, c, r.Ledger.known(key))
	if err != nil {
		return reconcile.Result{}, err
	}
	if len(selected) == 0 {
		r.Unused(key)
	}
	sum := r.Ledger.sum(c, selected, now)
	if wait := quiet(sum, statusOf(c.Object)); wait > 0 {
		return reconcile.Result{RequeueAfter: min(wait, time.Second)}, nil
	}
	result, err := r.write(ctx, c, sum, now)
	if err == nil && result.RequeueAfter == 0 && sum.nextExpiry.After(now) {
		// Nobody else says so when a token dies, and the clock may jump.
		result.RequeueAfter = min(sum.nextExpiry.Sub(now), recheck)
	}
	return result, err
}

// stale says whether the cache does not show the status that was written last: compared with an older one, a change back would be lost.
func (r *StatusReconciler) stale(c *credential.Credential) bool {
	_, wrote := r.Ledger.statusWritten(c.Key)
	return wrote != "" && apiserver.Older(c.Object.GetResourceVersion(), wrote)
}

// quiet is how much longer a status waits for targets that have not been heard of, if nothing bad is known.
func quiet(sum summary, was *v1alpha1.ClusterCredentialStatus) time.Duration {
	wait := quietStart
	if was.ObservedGeneration > 0 && sum.failing == nil && sum.failingOwn == nil {
		wait = quietAgain
	}
	if sum.unheard == 0 {
		return 0
	}
	return wait - sum.age
}

// selected lists the namespaces that are to hold the credential's Secret, as many as about.
func (r *StatusReconciler) selected(ctx context.Context, c *credential.Credential, about int) ([]string, error) {
	if c.Namespace != "" {
		return []string{c.Namespace}, nil
	}
	selected := make([]string, 0, about)
	err := view.Namespaces(ctx, r.Cache, func(ns *metav1.PartialObjectMetadata) {
		if ns.DeletionTimestamp.IsZero() && c.Selects(ns) && !r.Excluded.Has(ns.Name) {
			selected = append(selected, ns.Name)
		}
	})
	slices.Sort(selected)
	return selected, err
}

// write patches the status if it says anything new.
func (r *StatusReconciler) write(ctx context.Context, c *credential.Credential, sum summary, now time.Time) (reconcile.Result, error) {
	before := c.Object
	c.Object = before.DeepCopyObject().(client.Object) // that of the cache is everybody's
	was, is := statusOf(before), statusOf(c.Object)
	sum.fill(c, is)
	setStatus(c.Object, is)
	if equality.Semantic.DeepEqual(was, is) {
		return reconcile.Result{}, nil
	}
	at, _ := r.Ledger.statusWritten(c.Key)
	if wait := postpone(was, is, sum.selected, now.Sub(at)); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if err := r.Client.Status().Patch(ctx, c.Object, client.MergeFrom(before)); err != nil {
		if ctx.Err() != nil {
			return reconcile.Result{}, nil //nolint:nilerr // the controller stops; the next leader reports
		}
		if apierrors.IsInvalid(err) {
			r.tellRefusal(ctx, c)
			return reconcile.Result{RequeueAfter: recheck}, nil
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	r.Ledger.writeStatus(c, now)
	r.tellExpiry(ctx, c, was, is)
	return reconcile.Result{}, nil
}

// tellRefusal tells of a status that the API server does not take: trying again would not help, and nobody would see why it stands still.
func (r *StatusReconciler) tellRefusal(ctx context.Context, c *credential.Credential) {
	recordNews(ctx, r.Events, c, []news{{warning: true, reason: v1alpha1.ReasonInternal, action: "Report",
		note: "the API server refuses the status as invalid: compare the CustomResourceDefinitions with the controller's version"}})
}

// postpone is how much longer a status can wait to be written.
func postpone(was, is *v1alpha1.ClusterCredentialStatus, selected int, sinceLast time.Duration) time.Duration {
	if selected <= manyTargets || !equality.Semantic.DeepEqual(timeless(was), timeless(is)) {
		return 0
	}
	return timesOnly - sinceLast
}

// tellExpiry makes an event of the moment when pods can pull no longer.
func (r *StatusReconciler) tellExpiry(ctx context.Context, c *credential.Credential, was, is *v1alpha1.ClusterCredentialStatus) {
	before, after := meta.FindStatusCondition(was.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(is.Conditions, v1alpha1.ConditionReady)
	if after.Reason == v1alpha1.ReasonExpired && (before == nil || before.Reason != v1alpha1.ReasonExpired) {
		recordNews(ctx, r.Events, c, []news{{warning: true, reason: after.Reason, action: "Refresh", note: after.Message}})
	}
}

// statusOf is the status of either kind; a RegistryCredential has the common part alone.
func statusOf(o client.Object) *v1alpha1.ClusterCredentialStatus {
	switch o := o.(type) {
	case *v1alpha1.ClusterRegistryCredential:
		return &o.Status
	case *v1alpha1.RegistryCredential:
		return &v1alpha1.ClusterCredentialStatus{CredentialStatus: o.Status}
	}
	return nil
}

func setStatus(o client.Object, s *v1alpha1.ClusterCredentialStatus) {
	switch o := o.(type) {
	case *v1alpha1.ClusterRegistryCredential:
		o.Status = *s
	case *v1alpha1.RegistryCredential:
		o.Status = s.CredentialStatus
	}
}

func timeless(s *v1alpha1.ClusterCredentialStatus) *v1alpha1.ClusterCredentialStatus {
	s = s.DeepCopy()
	s.ExpiresAt, s.RefreshAt = nil, nil
	for i := range s.Registries {
		s.Registries[i].ExpiresAt, s.Registries[i].RefreshAt = nil, nil
	}
	return s
}
