package target

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

// absentFor is how long a Secret that was not there is taken for absent: until the token for it is minted.
const absentFor = 10 * time.Second

// readUnwatched reads a Secret that the cache does not show, for it may be foreign, or have lost our label: what is there is not created.
func (r *Reconciler) readUnwatched(ctx context.Context, t credential.Target) (*metav1.PartialObjectMetadata, error) {
	if _, absent := r.absent.Get(t); absent {
		return nil, nil
	}
	secret, err := r.readLive(ctx, t)
	if err == nil && secret == nil {
		r.absent.Put(t, struct{}{})
	}
	return secret, err
}

// createsFirst says whether a Secret that the cache does not show can be made without a look: the API server refuses to make what is there, and
// until then nothing is minted or linked for it.
func (r *Reconciler) createsFirst(ctx context.Context, t credential.Target, c *credential.Credential) bool {
	_, absent := r.absent.Get(t)
	_, met := r.conflicts.Get(t)
	if absent || met || !r.linkedAlready(ctx, t, c) {
		return false
	}
	for i := range c.Spec.Registries {
		if !r.inHand(ctx, c, t, &c.Spec.Registries[i]) {
			return false
		}
	}
	return true
}

// inHand says whether a token of the entry is in memory that will do for a Secret that has none.
func (r *Reconciler) inHand(ctx context.Context, c *credential.Credential, t credential.Target, entry *v1alpha1.Registry) bool {
	req, err := r.requestOf(ctx, c, entry)
	if err != nil || entry.Override != nil {
		return false
	}
	return r.Tokens.Ready(req, r.newerThan(newEntry(c, t, entry), req, r.Clock.Now()))
}

// linkedAlready says whether every ServiceAccount that is to name the Secret does, as where a policy sees to it.
func (r *Reconciler) linkedAlready(ctx context.Context, t credential.Target, c *credential.Credential) bool {
	if c.Spec.ServiceAccounts == nil {
		return true
	}
	accounts, err := view.ServiceAccounts(ctx, r.Cache, t.Namespace)
	return err == nil && !slices.ContainsFunc(accounts, func(sa *corev1.ServiceAccount) bool {
		return c.Links(sa) && !slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: t.Name})
	})
}

// readLive reads a Secret past the cache, and leaves of it what the cache would: it is remembered, and others write it.
func (r *Reconciler) readLive(ctx context.Context, t credential.Target) (*metav1.PartialObjectMetadata, error) {
	secret, err := view.Secret(ctx, r.Live, t)
	if secret != nil {
		pullsecret.Trim(secret)
	}
	return secret, err
}
