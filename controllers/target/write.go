package target

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
)

// conflict says why the observed Secret must not be touched.
func conflict(o observed) *credential.Failure {
	if o.secret == nil || pullsecret.Ours(o.owner, o.secret) {
		return nil
	}
	f := &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, RetryAfter: credential.RetryAfter}
	owner := metav1.GetControllerOf(o.secret)
	keeper, kept := credential.TargetOf(o.secret)
	switch {
	case owner == nil && kept:
		f.Message = fmt.Sprintf("Secret %s/%s is kept by %s: create this credential anew with another secretName", o.secret.Namespace, o.secret.Name, keeper.Credential)
	case owner != nil:
		f.Message = fmt.Sprintf("Secret %s/%s belongs to %s %s: create this credential anew with another secretName", o.secret.Namespace, o.secret.Name, owner.Kind, owner.Name)
	case o.secret.Annotations[v1alpha1.AnnotationAdopt] == "true":
		return nil
	default:
		f.Message = fmt.Sprintf("Secret %s/%s exists and was not made by this credential: delete or rename it, or annotate it with %s=true to hand it over; it is looked at again in two minutes, and later every half hour",
			o.secret.Namespace, o.secret.Name, v1alpha1.AnnotationAdopt)
	}
	return f
}

// write writes the Secret once: in place if it exists, for the kubelet remembers pulls by the Secret's UID. It says whether that has
// changed anything: somebody may have put the right bytes back already.
func (r *Reconciler) write(ctx context.Context, t credential.Target, o observed, entries []*EntryState) (changed bool, rejection *credential.Failure, err error) {
	existing, patch, err := r.existing(ctx, t, o)
	if err != nil {
		return false, nil, err
	}
	secret, err := compose(t, o.owner, existing, entries)
	if err != nil {
		return false, nil, err
	}
	if size := len(secret.Data[corev1.DockerConfigJsonKey]); size > corev1.MaxSecretSize {
		return false, tooLarge(t, size, entries), nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiserver.WriteTimeout)
	defer cancel()
	switch {
	case existing == nil:
		err = r.Client.Create(ctx, secret)
	case patch:
		err = r.patch(ctx, existing, secret)
	default:
		err = r.Client.Update(ctx, secret)
	}
	switch {
	case apierrors.IsNotFound(err): // deleted since it was observed
		return false, nil, apierrors.NewConflict(corev1.Resource("secrets"), t.Name, err)
	case apiserver.IsTerminating(err):
		return false, nil, err
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err),
		apierrors.IsConflict(err) && apiserver.RefusedBy(err) != "": // a webhook may say what it likes
		return false, rejected(t, err), nil
	case err != nil:
		return false, nil, err
	}
	r.written.Put(t, secret.ResourceVersion)
	made := r.seals.of(secret)
	made.owner = r.seals.wishOf(o.owner)
	r.seals.put(t, made)
	r.noteTokens(t, entries)
	r.absent.Delete(t)
	return o.secret == nil || o.secret.ResourceVersion != secret.ResourceVersion, nil, nil
}

// tooLarge is the credential's own failure only if the tokens alone are too many: what is read back is what somebody has written there.
func tooLarge(t credential.Target, size int, entries []*EntryState) *credential.Failure {
	if slices.ContainsFunc(entries, func(e *EntryState) bool { return e.readBack }) {
		return &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, RetryAfter: credential.RetryAfter, Message: fmt.Sprintf(
			"the tokens and what Secret %s holds of others take %d bytes, and a Secret holds %d: delete it, and it is made anew", t.Secret(), size, corev1.MaxSecretSize)}
	}
	return &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, Terminal: true,
		Message: fmt.Sprintf("the tokens take %d bytes, and a Secret holds %d: use fewer entries or hosts", size, corev1.MaxSecretSize)}
}

// existing is what the Secret is composed in place of. What the cache holds will do for a Secret with nothing but ours, and for a patch of only
// what is ours. Where others have added metadata that must survive, and more than our part is to be set right, the whole is read.
func (r *Reconciler) existing(ctx context.Context, t credential.Target, o observed) (existing *metav1.PartialObjectMetadata, patch bool, err error) {
	switch {
	case o.secret == nil || !pullsecret.Cut(o.secret):
		return o.secret, false, nil
	case pullsecret.Trusted(o.owner, o.secret) && pullsecret.OwnedAs(o.owner, o.secret):
		return o.secret, true, nil
	}
	existing, err = view.Secret(ctx, r.Live, t)
	if err == nil && (existing == nil || existing.ResourceVersion != o.secret.ResourceVersion) {
		err = apierrors.NewConflict(corev1.Resource("secrets"), t.Name, errChanged)
	}
	return existing, false, err
}

// patch changes what is ours of a Secret, and takes in the result.
func (r *Reconciler) patch(ctx context.Context, existing *metav1.PartialObjectMetadata, secret *corev1.Secret) error {
	patch, err := pullsecret.Patch(existing, secret)
	if err != nil {
		return err
	}
	return r.Client.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch))
}

// deleteEmpty deletes a Secret of which nothing is left but what is to be withdrawn.
func (r *Reconciler) deleteEmpty(ctx context.Context, why Cause, o observed, out Outcome) (Outcome, error) {
	if why != CauseEntryRemoved && why != CauseLapsed || pullsecret.Kept(o.secret) {
		return out, nil
	}
	err := r.Client.Delete(ctx, o.secret, client.Preconditions{UID: &o.secret.UID, ResourceVersion: &o.secret.ResourceVersion})
	switch {
	case err == nil:
		out.Wrote = why
	case apierrors.IsNotFound(err): // deleted since it was observed
		err = apierrors.NewConflict(corev1.Resource("secrets"), o.secret.Name, err)
	}
	return out, err
}

// rejected explains why the API server refuses the Secret.
func rejected(t credential.Target, err error) *credential.Failure {
	f := &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, RetryAfter: credential.RetryAfter,
		Message: fmt.Sprintf("the API server refuses Secret %s: check the controller's RBAC rules, and the quotas and admission policies of the namespace", t.Secret())}
	var status apierrors.APIStatus
	if by := apiserver.RefusedBy(err); by != "" {
		f.Message = fmt.Sprintf("%s refuses Secret %s: make room for it there, or let it pass", by, t.Secret())
	}
	if !errors.As(err, &status) || status.Status().Details == nil {
		return f
	}
	for _, cause := range status.Status().Details.Causes {
		switch cause.Field {
		case "type":
			f.Reason = v1alpha1.ReasonSecretConflict
			f.Message = fmt.Sprintf("Secret %s is of another type than %s, which cannot be changed: delete or rename it", t.Secret(), corev1.SecretTypeDockerConfigJson)
		case "data", "immutable":
			f.Reason = v1alpha1.ReasonSecretConflict
			f.Message = fmt.Sprintf("Secret %s is immutable: delete it, and it is written anew", t.Secret())
		}
	}
	return f
}

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

func (r *Reconciler) api() link.API { return link.API{Cache: r.Cache, Live: r.Live, Client: r.Client} }

// wishes are what is wanted of the ServiceAccounts of a target whose credential is c; nil if it wants none any more.
func (r *Reconciler) wishes(ctx context.Context, t credential.Target, c *credential.Credential) link.Wishes {
	return link.Wishes{Wanted: r.wanted(ctx, t, c), Dead: r.dead(ctx, t.Namespace)}
}

// keptFor says whether the Secret is that of the target.
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
	r.spare(t, r.holders.of(t.Secret()))
	return nil
}
