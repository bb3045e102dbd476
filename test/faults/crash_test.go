package faults

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// A clean run numbers every write to the API server and every call to the cloud. Then the controller is ended before and after each of
// them, as by kill -9 or a node that is gone, and another one takes over.
func TestACrashAtEveryEffectLosesNothing(t *testing.T) {
	clean, mints := effects(t)
	if len(clean) < 8 || mints != 2 {
		t.Fatalf("a clean run mints %d tokens and does %q: that is not the life of a credential", mints, clean)
	}
	t.Logf("a clean run does %q", clean)
	for _, at := range clean {
		for _, after := range []bool{false, true} {
			at.after = after
			t.Run(at.String(), func(t *testing.T) {
				if done, took := play(t, at); took > mints+1 {
					t.Errorf("%d tokens were minted, want %d and one more at most: %q", took, mints, done)
				}
			})
		}
	}
}

// The API server may refuse any write for a reason of its own, or do it and not say so.
func TestAnErrorAtEveryWriteIsMended(t *testing.T) {
	clean, mints := effects(t)
	for _, at := range clean {
		if at.among == callToECR {
			continue // its faults are another suite's
		}
		for _, fault := range []trap{
			{code: http.StatusConflict}, {code: http.StatusTooManyRequests}, {code: http.StatusInternalServerError},
			{code: http.StatusGatewayTimeout, after: true},
		} {
			fault.at, fault.among = at.at, at.among
			t.Run(fault.String(), func(t *testing.T) {
				if done, took := play(t, fault); took > mints {
					t.Errorf("%d tokens were minted, want %d: %q", took, mints, done)
				}
			})
		}
	}
}

const (
	// cleanRuns see what is done every time: how often a status is written is for the scheduler to say.
	cleanRuns = 3
	// tries is how often a life is played anew in which a trap did not spring.
	tries = 10
)

// effects are traps for all that every clean run does.
func effects(t *testing.T) (traps []trap, mints int) {
	t.Helper()
	for run := range cleanRuns {
		seen := map[string]int{}
		var done []trap
		var all []string
		all, mints = play(t, trap{})
		for _, effect := range all {
			kind := kindOf(effect)
			seen[kind]++
			done = append(done, trap{at: seen[kind], among: kind})
		}
		if run == 0 {
			traps = done
		}
		traps = slices.DeleteFunc(traps, func(at trap) bool { return at.at > seen[at.among] })
	}
	return traps, mints
}

// play is the life of a credential, from its creation to its end, in which the trap has sprung. It returns what the controller has done, and
// the tokens minted for it.
func play(t *testing.T, at trap) (effects []string, mints int) {
	t.Helper()
	for range tries {
		effects, mints = live(t, at)
		if at.at == 0 || between.caught() != "" {
			return effects, mints
		}
	}
	t.Fatalf("the trap has not sprung in %d lives, the last of which did %q", tries, effects)
	return nil, 0
}

// live plays it once.
func live(t *testing.T, at trap) (effects []string, mints int) {
	t.Helper()
	s := newScene(t)
	defer s.end()
	between.arm(at)
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })

	// Nobody asks twice within a minute.
	s.later(2 * time.Minute)
	old := s.password("one")
	s.refresh("now")
	s.await("new tokens", func() bool {
		return s.password("one") != old && s.password("two") != old && s.served("one", true) && s.served("two", true) && s.answered("now")
	})

	s.selected("two", false)
	s.await("a namespace that is not selected to be left", func() bool { return s.served("two", false) && s.served("one", true) && s.reported(1) })

	s.must(world.Client.Delete(t.Context(), s.credential()))
	s.await("the end", func() bool { return s.served("one", false) && s.served("two", false) })
	gone := world.Client.Get(t.Context(), client.ObjectKey{Name: s.name}, &v1alpha1.ClusterRegistryCredential{})
	if client.IgnoreNotFound(gone) != nil || gone == nil {
		t.Errorf("the credential is still there: %v", gone)
	}
	if at.kills() && between.caught() != "" && !s.succeeded {
		<-between.crashed // at its last effect
		s.succeed()
	}
	return between.counted(), s.mints()
}
