package target

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

const (
	// absentFor is how long a Secret that was not there is taken for absent: until the token for it is minted.
	absentFor = 10 * time.Second
	// maxConflictWait is the longest time after which a Secret in conflict is looked at again.
	maxConflictWait = 30 * time.Minute
)

// knownConflict is a conflict that was found.
type knownConflict struct {
	failure *credential.Failure
	// version is that of the credential: one that has changed looks again at once.
	version string
	looks   int
	next    time.Time
}

// unwatched reads a Secret that the cache does not show, for it may be foreign, or have lost our label: what is there is not created.
func (r *Reconciler) unwatched(ctx context.Context, t credential.Target) (*metav1.PartialObjectMetadata, error) {
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

// conflictOf is a conflict that need not be looked at yet; nil if there is none.
func (r *Reconciler) conflictOf(t credential.Target, c *credential.Credential) *credential.Failure {
	s, ok := r.conflicts.Get(t)
	left := s.next.Sub(r.Clock.Now())
	if !ok || s.version != c.Object.GetResourceVersion() || left <= 0 {
		return nil
	}
	f := *s.failure
	f.RetryAfter = left
	return &f
}

// noteConflict takes note of a conflict, which is looked at ever more rarely.
func (r *Reconciler) noteConflict(t credential.Target, c *credential.Credential, f *credential.Failure) *credential.Failure {
	r.conflicts.Update(t, func(s knownConflict, _ bool) knownConflict {
		wait := min(credential.RetryAfter<<min(s.looks, 10), maxConflictWait)
		if s.looks > 0 {
			wait -= spread(string(c.Object.GetUID())+"/"+t.Namespace, wait/jitterShare)
		}
		f.RetryAfter = wait
		return knownConflict{failure: f, version: c.Object.GetResourceVersion(), looks: s.looks + 1, next: r.Clock.Now().Add(wait)}
	})
	return f
}
