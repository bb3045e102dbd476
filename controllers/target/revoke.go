package target

import (
	"context"
	"errors"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
)

const (
	// revokeGrace is how long a token that no target holds any more may still be on its way into one.
	revokeGrace = time.Minute
	// revokeTries is how often a token is tried to be revoked; after that it dies of its age.
	revokeTries = 5
)

// superseded are the tokens that were replaced and can be revoked, once no target holds them. They are forgotten at a restart, and then
// die of their age.
type superseded struct {
	mu     sync.Mutex
	tokens map[string]*supersededToken
}

type supersededToken struct {
	// freeSince is since when no target holds it; zero while one does.
	freeSince time.Time
	tries     int
	busy      bool
}

func (s *superseded) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[string]*supersededToken{}
	}
	if s.tokens[id] == nil {
		s.tokens[id] = &supersededToken{}
	}
}

func (s *superseded) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.tokens))
	for id := range s.tokens {
		ids = append(ids, id)
	}
	return ids
}

// free takes note of whether a token is free, and says whether it is to be revoked now, or after how long it is to be looked at again.
func (s *superseded) free(id string, held bool, now time.Time) (revoke bool, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[id]
	switch {
	case t == nil || t.busy:
		return false, 0
	case held:
		t.freeSince = time.Time{}
		return false, 0
	case t.freeSince.IsZero():
		t.freeSince = now
	}
	if left := t.freeSince.Add(revokeGrace).Sub(now); left > 0 {
		return false, left
	}
	t.busy = true
	t.tries++
	return true, 0
}

// settle takes the end of a revocation.
func (s *superseded) settle(id string, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[id]
	if t == nil {
		return
	}
	t.busy, t.freeSince = false, now
	failure, ok := errors.AsType[*providers.Error](err)
	if err == nil || t.tries >= revokeTries || ok && failure.Terminal {
		delete(s.tokens, id)
	}
}

// supersede notes the tokens that the entries replaced.
func (r *Reconciler) supersede(o observed, entries []*Entry) {
	for _, e := range entries {
		if old := o.Records[e.Name].ID; old != "" && old != e.Record.ID {
			r.superseded.add(old)
		}
	}
}

// revoke ends the tokens that no target holds any more. It returns when to look again; 0 for when an event says so.
func (r *Reconciler) revoke(ctx context.Context, t credential.Target) (time.Duration, error) {
	var next time.Duration
	for _, id := range r.superseded.ids() {
		holders := view.MetadataList(view.KindSecret)
		if err := r.Cache.List(ctx, holders, client.MatchingFields{view.IndexTokenID: id}, client.UnsafeDisableDeepCopy, client.Limit(1)); err != nil {
			return 0, err
		}
		revoke, after := r.superseded.free(id, len(holders.Items) > 0, r.Clock.Now())
		if revoke {
			l := log.FromContext(ctx)
			r.Tokens.Revoke(id, func(err error) {
				r.superseded.settle(id, err, r.Clock.Now())
				if err != nil {
					l.Info("A replaced token could not be revoked", "id", id, "message", err.Error())
					r.Wake(t, 0)
				}
			})
		}
		if after > 0 && (next == 0 || after < next) {
			next = after
		}
	}
	return next, nil
}
