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

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
)

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
		if o.blind && (apierrors.IsAlreadyExists(err) || refused(err)) {
			return false, nil, errUnseen
		}
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
	case refused(err):
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

// errUnseen is that a Secret could not be made, and that it may be there: a quota that is used up refuses one that has lost our label before
// anybody says that it exists.
var errUnseen = errors.New("the Secret was not looked for before it was made")

// refused says whether the API server will not take what was written, however often it is sent. A webhook may call that what it likes.
func refused(err error) bool {
	if apiserver.IsTerminating(err) {
		return false
	}
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) ||
		(apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)) && apiserver.RefusedBy(err) != ""
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

// deleteEmpty deletes a Secret that would be left without a login.
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
