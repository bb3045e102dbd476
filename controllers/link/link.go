// Package link makes ServiceAccounts name the Secrets of credentials, and knows nothing else.
package link

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// Wanted is who wants a ServiceAccount to name the target's Secret: the target itself, another of the same Secret, or nobody.
type Wanted func(sa metav1.Object) (*credential.Target, error)

// Nobody wants a link.
func Nobody(metav1.Object) (*credential.Target, error) { return nil, nil }

// Reconcile makes the ServiceAccounts of a target's namespace name its Secret, or not, as wanted says of each.
//
// imagePullSecrets is an atomic list that others write too: it is read, appended to and patched under its resourceVersion, never
// applied and never reordered. A link that we made is recorded on the ServiceAccount; only such a link is ever removed.
//
// A ServiceAccount that could not be changed is a failure, and holds up none of the others. A conflict is returned as the error: it has
// changed since the cache saw it, and not every change of it is an event for us.
func Reconcile(
	ctx context.Context, from client.Reader, to client.Client, t credential.Target, wanted Wanted,
) (done Changes, unlinked *credential.Failure, lost error) {
	var accounts corev1.ServiceAccountList
	if err := from.List(ctx, &accounts, client.InNamespace(t.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return done, nil, err
	}
	for n := range accounts.Items {
		sa := &accounts.Items[n]
		by, err := wanted(sa)
		if err != nil {
			return done, nil, err
		}
		if by != nil && credential.Cut(sa) {
			unlinked = &credential.Failure{Reason: v1alpha1.ReasonLinkFailed, RetryAfter: credential.RetryAfter, Message: "ServiceAccount " +
				client.ObjectKeyFromObject(sa).String() + " lists too many imagePullSecrets to be changed: remove those that are not used"}
			continue
		}
		patch := patchFor(t, sa, by)
		if patch == nil {
			continue
		}
		_, err = patch.send(ctx, to, client.ObjectKeyFromObject(sa))
		switch what := "ServiceAccount " + client.ObjectKeyFromObject(sa).String(); {
		case err == nil:
			done.Add(patch.change)
		case apierrors.IsNotFound(err):
		case apierrors.IsConflict(err):
			lost = err
		case credential.IsGone(err), ctx.Err() != nil:
			return done, nil, err
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
			unlinked = &credential.Failure{RetryAfter: credential.RetryAfter, Message: "the API server refuses to change " + what +
				": check the controller's RBAC rules and the admission policies of the namespace"}
			if by := credential.RefusedBy(err); by != "" {
				unlinked.Message = by + " refuses to let " + what + " be linked: let it pass there"
			}
		default:
			unlinked = credential.Unanswered("changing "+what, err)
		}
	}
	if unlinked != nil {
		unlinked.Reason = v1alpha1.ReasonLinkFailed
	}
	return done, unlinked, lost
}

// Changes counts links by what was done to them.
type Changes struct {
	// Made are new ones, Restored those that somebody else had removed, and Removed those that were ours and are wanted no longer.
	Made, Restored, Removed int
}

// Add counts further ones.
func (c *Changes) Add(change Changes) {
	c.Made += change.Made
	c.Restored += change.Restored
	c.Removed += change.Removed
}

// serviceAccountPatch is a merge patch that says all it touches and the version it was computed from.
type serviceAccountPatch struct {
	Metadata struct {
		UID             types.UID          `json:"uid"`
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations"`
	} `json:"metadata"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitzero"`

	// change is what the patch does to links.
	change Changes
}

// send returns the ServiceAccount as it is after the patch.
func (p *serviceAccountPatch) send(ctx context.Context, c client.Client, name client.ObjectKey) (*corev1.ServiceAccount, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	target := &corev1.ServiceAccount{}
	target.Namespace, target.Name = name.Namespace, name.Name
	return target, c.Patch(ctx, target, client.RawPatch(types.MergePatchType, raw))
}

// patchFor returns what must change on the ServiceAccount; nil for nothing. A link that another target wants, too, passes to that one.
func patchFor(t credential.Target, sa *corev1.ServiceAccount, wanted *credential.Target) *serviceAccountPatch {
	secret, annotation := corev1.LocalObjectReference{Name: t.Name}, v1alpha1.AnnotationLinkPrefix+t.Name
	linked, recorded := slices.Contains(sa.ImagePullSecrets, secret), slices.Contains(credential.Linked(sa), t)

	patch := &serviceAccountPatch{}
	patch.Metadata.UID, patch.Metadata.ResourceVersion = sa.UID, sa.ResourceVersion
	switch {
	case credential.Cut(sa):
		return nil
	case wanted != nil && *wanted == t && !linked:
		patch.Metadata.Annotations = map[string]*string{annotation: new(t.LinkRecord())}
		patch.ImagePullSecrets = append(slices.Clone(sa.ImagePullSecrets), secret)
		if patch.change.Made = 1; recorded {
			patch.change = Changes{Restored: 1}
		}
	case wanted != nil && *wanted != t && recorded:
		patch.Metadata.Annotations = map[string]*string{annotation: new(wanted.LinkRecord())}
	case wanted == nil && recorded:
		patch.Metadata.Annotations = map[string]*string{annotation: nil}
		if linked {
			others := slices.DeleteFunc(slices.Clone(sa.ImagePullSecrets), func(r corev1.LocalObjectReference) bool { return r == secret })
			patch.ImagePullSecrets = append([]corev1.LocalObjectReference{}, others...)
			patch.change.Removed = 1
		}
	default:
		return nil
	}
	return patch
}
