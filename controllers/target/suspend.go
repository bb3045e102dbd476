package target

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// inspection is what was found where a suspended credential's Secret is not in the cache.
type inspection struct {
	generation int64
	found      *metav1.PartialObjectMetadata
}

// inspect says how a target of a suspended credential stands, by its records: nothing is minted, written, linked or removed.
func (r *Reconciler) inspect(ctx context.Context, t credential.Target, c *credential.Credential) (Outcome, error) {
	secret, err := view.Secret(ctx, r.Cache, t)
	if err != nil {
		return Outcome{}, err
	}
	if secret == nil {
		if f, err := r.yield(ctx, t, c); f != nil || err != nil {
			return Outcome{Failure: f, Suspended: true}, err
		}
		if secret, err = r.readOnce(ctx, t, c); err != nil {
			return Outcome{}, err
		}
	}
	o := r.observe(c, secret)
	if f := conflict(o); f != nil {
		return Outcome{Failure: f, Suspended: true}, nil
	}
	return Outcome{Entries: recorded(c, t, o), Suspended: true, Retained: retained(o.secret)}, nil
}

// recorded are the entries as the Secret says that they are.
func recorded(c *credential.Credential, t credential.Target, o observed) []*EntryState {
	entries := make([]*EntryState, len(c.Spec.Registries))
	for i := range c.Spec.Registries {
		entries[i] = newEntry(c, t, &c.Spec.Registries[i])
		entries[i].reset(o)
	}
	return entries
}

// readOnce reads a Secret that is not in the cache, by one request for each target and generation of the spec, so that thousands cost nothing
// while they are suspended.
func (r *Reconciler) readOnce(ctx context.Context, t credential.Target, c *credential.Credential) (*metav1.PartialObjectMetadata, error) {
	if last, ok := r.inspected.Get(t); ok && last.generation == c.Object.GetGeneration() {
		return last.found, nil
	}
	found, err := r.readLive(ctx, t)
	if err == nil {
		r.inspected.Put(t, inspection{c.Object.GetGeneration(), found})
	}
	return found, err
}
