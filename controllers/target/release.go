package target

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
)

// release unlinks the Secret and deletes it, or gives it back to whoever lent it, in a namespace that holds the target no longer. The Secret of
// a credential that is gone is left to the garbage collector; what is to outlive its credential stays with its links.
func (r *Reconciler) release(ctx context.Context, t credential.Target, c *credential.Credential) (reconcile.Result, error) {
	secret, err := view.Secret(ctx, r.Cache, t)
	if err != nil || c == nil && retainedFor(t, secret) {
		return reconcile.Result{}, err
	}
	links, err := r.links.Sync(ctx, r.api(), t, r.wishes(ctx, t, nil))
	if c != nil {
		r.Outcomes.Linked(t.Credential, links.Done)
	}
	if err != nil {
		return reconcile.Result{}, apiserver.IgnoreTerminating(err) // of a conflict, too: the queue tries again
	}
	var result reconcile.Result
	if f := links.Failure; f != nil {
		result.RequeueAfter = f.RetryAfter
		log.FromContext(ctx).V(1).Info("A link was not removed", "message", f.Message)
	}
	err = r.releaseSecret(ctx, t, c, secret)
	if apierrors.IsConflict(err) {
		// The event of what has changed brings the target back, as a rule.
		result.RequeueAfter = sooner(result.RequeueAfter, apiserver.CacheLag)
		return result, nil
	}
	return result, apiserver.IgnoreTerminating(err)
}

func (r *Reconciler) releaseSecret(ctx context.Context, t credential.Target, c *credential.Credential, secret *metav1.PartialObjectMetadata) (err error) {
	switch {
	case secret == nil:
		return nil
	case pullsecret.Kept(secret) && keptFor(t, secret):
		err = r.giveBack(ctx, t, secret)
	case c != nil && metav1.IsControlledBy(secret, c.Object):
		err = r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if apiserver.RefusedByPolicy(err) {
		return nil // it only pretends to be ours
	}
	return err
}

// keptFor says whether the Secret names the target as its owner.
func keptFor(t credential.Target, secret metav1.Object) bool {
	of, ok := credential.TargetOf(secret)
	return ok && of == t
}

// giveBack takes off a Secret what makes it ours. The tokens in it live to their end: who lent the Secret still has them, and it is not watched
// any more.
func (r *Reconciler) giveBack(ctx context.Context, t credential.Target, secret *metav1.PartialObjectMetadata) error {
	patch, err := pullsecret.GiveBack(secret)
	if err != nil {
		return err
	}
	target := view.SecretMetadata()
	target.Namespace, target.Name = t.Namespace, t.Name
	if err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return err
	}
	r.spare(r.holders.of(t.Secret()))
	return nil
}
