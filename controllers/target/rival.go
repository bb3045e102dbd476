package target

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

// rivals are the other credentials that want the target's Secret in its namespace.
func (r *Reconciler) rivals(ctx context.Context, t credential.Target) ([]*credential.Credential, error) {
	ns, err := view.Namespace(ctx, r.Cache, t.Namespace)
	if err != nil || ns == nil || r.Excluded.Has(t.Namespace) {
		return nil, err
	}
	var rivals []*credential.Credential
	for _, c := range view.Credentials(ctx, r.Cache, t.Namespace) {
		if c.Key != t.Credential && c.SecretName() == t.Name && c.Object.GetDeletionTimestamp().IsZero() && c.Selects(ns) {
			rivals = append(rivals, c)
		}
	}
	return rivals, nil
}

// yield says why a Secret that is not there is another credential's to make: the older one's.
func (r *Reconciler) yield(ctx context.Context, t credential.Target, c *credential.Credential) (*credential.Failure, error) {
	rivals, err := r.rivals(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, rival := range rivals {
		if rival.Before(c) {
			return &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, RetryAfter: credential.RetryAfter, Message: fmt.Sprintf(
				"Secret %s is that of %s, which came first: create one of the two anew with another secretName", t.Secret(), rival)}, nil
		}
	}
	return nil, nil
}

// wanted says who wants the link of a target whose credential is c; nil if that is gone, or no longer selects the namespace. What a rival
// wants, too, passes to it.
func (r *Reconciler) wanted(ctx context.Context, t credential.Target, c *credential.Credential) link.Wanted {
	ns, nsErr := view.Namespace(ctx, r.Cache, t.Namespace)
	return func(sa metav1.Object) (*credential.Target, error) {
		if nsErr != nil || ns == nil || leftAlone(ns) || leftAlone(sa) {
			return nil, nsErr
		}
		if c != nil {
			if links, err := c.Links(sa); err != nil || links {
				return &t, err
			}
		}
		if !recorded(sa, t) {
			return nil, nil
		}
		rivals, err := r.rivals(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, rival := range rivals {
			if links, err := rival.Links(sa); err != nil || links {
				return new(rival.Target(t.Namespace)), err
			}
		}
		return nil, nil
	}
}

// leftAlone says whether the owner of a ServiceAccount or a namespace wants no links there.
func leftAlone(o metav1.Object) bool {
	return o.GetLabels()[v1alpha1.LabelLink] == v1alpha1.LabelLinkNever
}

// recorded says whether a link of the target is recorded on a ServiceAccount.
func recorded(sa metav1.Object, t credential.Target) bool {
	return slices.Contains(credential.Linked(sa), t)
}
