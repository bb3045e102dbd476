package target

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

// selectors are the credentials whose Secret belongs into a namespace.
func (r *Reconciler) selectors(ctx context.Context, namespace string) ([]*credential.Credential, error) {
	ns, err := view.Namespace(ctx, r.Cache, namespace)
	if err != nil || ns == nil || r.Excluded.Has(namespace) {
		return nil, err
	}
	all, err := view.Credentials(ctx, r.Cache, namespace)
	return slices.DeleteFunc(all, func(c *credential.Credential) bool {
		return !c.Object.GetDeletionTimestamp().IsZero() || !c.Selects(ns)
	}), err
}

// rivals are the other credentials that want the target's Secret in its namespace.
func (r *Reconciler) rivals(ctx context.Context, t credential.Target) ([]*credential.Credential, error) {
	all, err := r.selectors(ctx, t.Namespace)
	return slices.DeleteFunc(all, func(c *credential.Credential) bool { return c.Key == t.Credential || c.SecretName() != t.Name }), err
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
func (r *Reconciler) wanted(ctx context.Context, t credential.Target, c *credential.Credential) func(metav1.Object) (*credential.Target, error) {
	ns, nsErr := view.Namespace(ctx, r.Cache, t.Namespace)
	// Of all the ServiceAccounts of a namespace each may ask who else wants its link.
	rivals := sync.OnceValues(func() ([]*credential.Credential, error) { return r.rivals(ctx, t) })
	return func(sa metav1.Object) (*credential.Target, error) {
		if nsErr != nil || ns == nil || credential.LeftAlone(ns) || credential.LeftAlone(sa) {
			return nil, nsErr
		}
		if c != nil && c.Links(sa) {
			return &t, nil
		}
		if !recorded(sa, t) {
			return nil, nil
		}
		all, err := rivals()
		if err != nil {
			return nil, err
		}
		for _, rival := range all {
			if rival.Links(sa) {
				return new(rival.Target(t.Namespace)), nil
			}
		}
		return nil, nil
	}
}

// dead says whether nobody wants a link that is recorded in the namespace: its credential is gone, or keeps a Secret of
// another name, and no other wants theirs. What is retained stays.
func (r *Reconciler) dead(ctx context.Context, namespace string) func(credential.Target) bool {
	wanted := sync.OnceValues(func() (sets.Set[string], error) {
		names := sets.Set[string]{}
		all, err := r.selectors(ctx, namespace)
		for _, c := range all {
			names.Insert(c.SecretName())
		}
		return names, err
	})
	return func(t credential.Target) bool {
		names, err := wanted()
		if err != nil || names.Has(t.Name) || !r.Scope.MayWrite(t) {
			return false
		}
		c, err := credential.Get(ctx, r.Cache, t.Credential)
		if err != nil || c != nil && c.SecretName() == t.Name {
			return false
		}
		secret, err := view.Secret(ctx, r.Cache, t)
		return err == nil && (c != nil || !retainedFor(t, secret))
	}
}

// retainedFor says whether the Secret stays with its links when the target's credential is gone.
func retainedFor(t credential.Target, secret *metav1.PartialObjectMetadata) bool {
	return retained(secret) && keptFor(t, secret)
}

// retained says whether there is a Secret that outlives its credential.
func retained(secret *metav1.PartialObjectMetadata) bool {
	return secret != nil && pullsecret.Retained(secret)
}

// recorded says whether a link of the target is recorded on a ServiceAccount.
func recorded(sa metav1.Object, t credential.Target) bool {
	return slices.Contains(credential.Linked(sa), t)
}

func (r *Reconciler) api() link.API {
	accounts := func(ctx context.Context, namespace string) ([]*corev1.ServiceAccount, error) {
		return view.ServiceAccounts(ctx, r.Cache, namespace)
	}
	return link.API{Accounts: accounts, Live: r.Live, Client: r.Client}
}

// wishes are what is wanted of the ServiceAccounts of a target whose credential is c; nil if it wants none any more.
func (r *Reconciler) wishes(ctx context.Context, t credential.Target, c *credential.Credential) link.Wishes {
	return link.Wishes{Wanted: r.wanted(ctx, t, c), Dead: r.dead(ctx, t.Namespace)}
}
