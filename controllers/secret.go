package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func (r *TargetReconciler) observedSecret(ctx context.Context, from client.Reader, t Target) (*metav1.PartialObjectMetadata, error) {
	m := secretMetadata()
	if err := from.Get(ctx, t.secret(), m); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return m, nil
}

// ours says whether the Secret was made for this credential. The UID is not asked for: a credential restored from a backup finds
// its Secrets again. A Secret without any owner is ours if it is as we wrote it.
func ours(key Key, secret *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(secret)
	if owner == nil {
		return secret.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget && intact(secret)
	}
	return owner.Kind == key.Kind() && owner.Name == key.Name &&
		owner.APIVersion == v1alpha1.GroupVersion.String()
}

// trusted says whether the Secret's records and content are what we wrote.
func trusted(c *credential, o observed) bool {
	return o.secret != nil && ours(c.Key, o.secret) && intact(o.secret)
}

// conflict says why the observed Secret must not be touched.
func conflict(c *credential, o observed) *failure {
	if o.secret == nil || ours(c.Key, o.secret) {
		return nil
	}
	f := &failure{reason: v1alpha1.ReasonSecretConflict, retryAfter: retryAfter}
	owner := metav1.GetControllerOf(o.secret)
	switch {
	case owner != nil:
		f.message = fmt.Sprintf("Secret %s/%s belongs to %s %s: rename one of the two", o.secret.Namespace, o.secret.Name, owner.Kind, owner.Name)
	case o.secret.Annotations[v1alpha1.AnnotationAdopt] == "true":
		return nil
	default:
		f.message = fmt.Sprintf("Secret %s/%s exists and was not made by this credential: delete or rename it, or annotate it with %s=true to hand it over; it is looked at every two minutes",
			o.secret.Namespace, o.secret.Name, v1alpha1.AnnotationAdopt)
	}
	return f
}

// write writes the Secret once: in place if it exists, for the kubelet remembers pulls by the Secret's UID. It says whether that has
// changed anything: somebody may have put the right bytes back already.
func (r *TargetReconciler) write(ctx context.Context, t Target, c *credential, o observed, entries []*entry) (changed bool, rejection *failure, err error) {
	secret, err := compose(t, c, o.secret, entries)
	if err != nil {
		return false, nil, err
	}
	if size := len(secret.Data[corev1.DockerConfigJsonKey]); size > corev1.MaxSecretSize {
		return false, &failure{reason: v1alpha1.ReasonSecretRejected, terminal: true,
			message: fmt.Sprintf("the tokens take %d bytes, and a Secret holds %d: use fewer entries or hosts", size, corev1.MaxSecretSize)}, nil
	}
	if o.secret == nil {
		err = r.Client.Create(ctx, secret)
	} else {
		err = r.Client.Update(ctx, secret)
	}
	switch {
	case apierrors.IsNotFound(err): // deleted since it was observed
		return false, nil, apierrors.NewConflict(corev1.Resource("secrets"), t.Credential.Name, err)
	case isGone(err):
		return false, nil, err
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		return false, rejected(t, err), nil
	case err != nil:
		return false, nil, err
	}
	r.written.expect(t, secret.ResourceVersion, r.Clock.Now())
	return o.secret == nil || o.secret.ResourceVersion != secret.ResourceVersion, nil, nil
}

// rejected explains why the API server refuses the Secret.
func rejected(t Target, err error) *failure {
	f := &failure{reason: v1alpha1.ReasonSecretRejected, retryAfter: retryAfter,
		message: fmt.Sprintf("the API server refuses Secret %s: check the controller's RBAC rules, and the quotas and admission policies of the namespace", t.secret())}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return f
	}
	for _, cause := range status.Status().Details.Causes {
		switch cause.Field {
		case "type":
			f.reason = v1alpha1.ReasonSecretConflict
			f.message = fmt.Sprintf("Secret %s is of another type than %s, which cannot be changed: delete or rename it", t.secret(), corev1.SecretTypeDockerConfigJson)
		case "data", "immutable":
			f.reason = v1alpha1.ReasonSecretConflict
			f.message = fmt.Sprintf("Secret %s is immutable: delete it, and it is written anew", t.secret())
		}
	}
	return f
}

// release unlinks the Secret and deletes it, in a namespace that holds the target no longer. The Secret of a credential that is gone
// is left to the garbage collector.
func (r *TargetReconciler) release(ctx context.Context, t Target, c *credential) error {
	if _, err := r.link(ctx, t.Credential, nil, t.Namespace); err != nil {
		return err
	}
	secret, err := r.observedSecret(ctx, r.Cache, t)
	if err != nil || secret == nil || c == nil || !metav1.IsControlledBy(secret, c.object) {
		return err
	}
	err = r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
