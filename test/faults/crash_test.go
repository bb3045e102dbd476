package faults

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// A clean run numbers every write to the API server and every call to the cloud. Then the controller is ended before and after each of
// them, as by kill -9 or a node that is gone, and another one takes over.
func TestACrashAtEveryEffectLosesNothing(t *testing.T) {
	clean, mints := play(t, trap{})
	if len(clean) < 8 || mints != 2 {
		t.Fatalf("a clean run mints %d tokens and does %q: that is not the life of a credential", mints, clean)
	}
	t.Logf("a clean run does %q", clean)
	for n, effect := range clean {
		for _, after := range []bool{false, true} {
			when := map[bool]string{false: "before", true: "after"}[after]
			t.Run(fmt.Sprintf("%d %s %s", n+1, when, effect), func(t *testing.T) {
				if done, took := play(t, trap{at: n + 1, after: after}); took > mints+1 {
					t.Errorf("%d tokens were minted, want %d and one more at most: %q", took, mints, done)
				}
			})
		}
	}
}

// The API server may refuse any write for a reason of its own, or do it and not say so.
func TestAnErrorAtEveryWriteIsMended(t *testing.T) {
	clean, mints := play(t, trap{})
	for n, effect := range clean {
		if !strings.Contains(effect, "/") {
			continue // a call to the cloud, whose faults are another suite's
		}
		for _, fault := range []trap{
			{code: http.StatusConflict}, {code: http.StatusTooManyRequests}, {code: http.StatusInternalServerError},
			{code: http.StatusGatewayTimeout, after: true},
		} {
			fault.at = n + 1
			t.Run(fmt.Sprintf("%d %d at %s", n+1, fault.code, effect), func(t *testing.T) {
				if done, took := play(t, fault); took > mints {
					t.Errorf("%d tokens were minted, want %d: %q", took, mints, done)
				}
			})
		}
	}
}

// play is the life of a credential, from its creation to its end. It returns what the controller has done, and the tokens minted for it.
func play(t *testing.T, at trap) (effects []string, mints int) {
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
		return s.password("one") != old && s.password("two") != old && s.served("one", true) && s.served("two", true)
	})

	s.selected("two", false)
	s.await("a namespace that is not selected to be left", func() bool { return s.served("two", false) && s.served("one", true) })

	s.must(world.Client.Delete(t.Context(), s.credential()))
	s.await("the end", func() bool { return s.served("one", false) && s.served("two", false) })
	gone := world.Client.Get(t.Context(), client.ObjectKey{Name: s.name}, &v1alpha1.ClusterRegistryCredential{})
	if client.IgnoreNotFound(gone) != nil || gone == nil {
		t.Errorf("the credential is still there: %v", gone)
	}
	return between.counted(), s.mints()
}
