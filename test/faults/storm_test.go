package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// storm is how many effects in a row fail. What is done all the same need not be done again, so that fewer come in its storm: two links, a
// call and two Secrets.
const storm, unconfirmed = 8, 5

// In a storm every write fails, or is done and not confirmed. Once it is over, all is as if there had been none, and no token was lost.
func TestAStormOfErrorsPasses(t *testing.T) {
	for _, code := range []int{http.StatusConflict, http.StatusTooManyRequests, http.StatusInternalServerError} {
		for _, after := range []bool{false, true} {
			if after && code != http.StatusInternalServerError {
				continue // who says so has done nothing
			}
			t.Run(fmt.Sprintf("%d, done all the same: %t", code, after), func(t *testing.T) {
				s := newScene(t)
				defer s.end()
				effects := storm
				if after {
					effects = unconfirmed
				}
				between.arm(trap{at: 1, more: effects - 1, code: code, after: after})
				s.must(world.Client.Create(t.Context(), s.credential()))
				s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
				if done := between.counted(); len(done) < effects {
					t.Errorf("the storm is not over after %q", done)
				} else if len(done) > effects+enough {
					t.Errorf("the controller does not come to rest: %q", done)
				}
				if n := s.mints(); n != 1 {
					t.Errorf("%d tokens were minted, want 1", n)
				}
			})
		}
	}
}

// A clock that jumps forth and back costs nothing while the token lives; when it jumps beyond its end, one call serves all.
func TestAClockThatJumpsCostsNoToken(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	for _, jump := range []time.Duration{15 * time.Minute, -15 * time.Minute, 15 * time.Minute} {
		s.later(jump)
		s.rediscovered("one")
	}
	if n := s.mints(); n != 1 {
		t.Errorf("%d tokens were minted, want 1", n)
	}
	// The queue would notice within half an hour.
	s.later(13 * time.Hour)
	s.rediscovered("one")
	s.rediscovered("two")
	s.await("a token that lives", func() bool { return s.served("one", true) && s.served("two", true) })
	if n := s.mints(); n != 2 {
		t.Errorf("%d tokens were minted, want 2", n)
	}
}

// rediscovered deletes the Secret in a namespace, and waits until it is there again: by then the controller has looked at its clock.
func (s *scene) rediscovered(ns string) {
	s.Helper()
	s.must(world.Client.Delete(s.Context(), s.secret(ns)))
	s.await("the Secret in "+ns, func() bool { return s.password(ns) != "" })
}
