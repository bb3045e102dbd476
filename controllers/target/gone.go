package target

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// credentialGone says whether the credential is no more though the cache shows it. The garbage collector then deletes a Secret as soon as it is made, so
// that is asked where one was deleted that was written lately.
func (r *Reconciler) credentialGone(ctx context.Context, t credential.Target, c *credential.Credential, why Cause) (bool, error) {
	if sealed, _ := r.seals.get(t); why != CauseMissing || !sealed.gone && !r.repairs.Recent(t) {
		return false, nil
	}
	uid := c.Object.GetUID()
	if gone, known := r.goneCredentials.Get(incarnation{c.Key, uid}); known {
		return gone, nil
	}
	live := &metav1.PartialObjectMetadataList{}
	live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(c.Kind() + "List"))
	if err := r.Live.List(ctx, live, client.InNamespace(c.Namespace), client.MatchingFields{metav1.ObjectNameField: c.Name}); err != nil {
		return false, err
	}
	gone := !slices.ContainsFunc(live.Items, func(m metav1.PartialObjectMetadata) bool { return m.UID == uid })
	r.goneCredentials.Put(incarnation{c.Key, uid}, gone)
	return gone, nil
}

// incarnation is one credential among those of a name.
type incarnation struct {
	credential.Key
	uid types.UID
}

// goneFailure is the failure of a target whose credential is gone, for as long as the cache shows it.
func goneFailure(c *credential.Credential) *credential.Failure {
	return &credential.Failure{Reason: v1alpha1.ReasonUnavailable, RetryAfter: credential.RetryAfter,
		Message: fmt.Sprintf("%s is no more, and the watch that says so is behind: its Secret is not written again", c)}
}
