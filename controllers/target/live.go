package target

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// readLive reads a Secret past the cache, and leaves of it what the cache would: it is remembered, and others write it.
func (r *Reconciler) readLive(ctx context.Context, t credential.Target) (*metav1.PartialObjectMetadata, error) {
	secret, err := view.Secret(ctx, r.Live, t)
	if secret != nil {
		pullsecret.Trim(secret)
	}
	return secret, err
}
