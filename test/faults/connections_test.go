package faults

import (
	"net/url"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wired puts a wire before the controllers that are started until the test ends, in place of the one of the suite.
func (s *scene) wired() *wire {
	s.Helper()
	s.must(controller.Stop())
	server, err := url.Parse(world.Config.Host)
	s.must(err)
	w, err := newWire(s.Context(), server.Host)
	s.must(err)
	env := slices.Clone(world.ControllerEnv)
	world.Wire = w.address()
	s.Cleanup(func() {
		world.Wire, world.ControllerEnv = "", env
		s.must(w.close())
		s.must(startController(s.ending()))
	})
	return w
}

// A connection may carry nothing more without being closed. The controller notices by itself, and learns on another one what has happened
// meanwhile.
func TestAConnectionThatCarriesNothingMoreIsLeft(t *testing.T) {
	s := newScene(t)
	defer s.end()
	w := s.wired()
	if !*nightly { // what is usual takes 45 s
		world.ControllerEnv = append(world.ControllerEnv, "HTTP2_READ_IDLE_TIMEOUT_SECONDS=2", "HTTP2_PING_TIMEOUT_SECONDS=1")
	}
	c, err := world.StartSteered(t.Context(), clock, output)
	s.must(err)
	defer func() { s.must(c.Stop()) }()
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })

	if w.forget(false) == 0 {
		t.Fatal("the controller had no connection")
	}
	s.must(world.Client.Delete(t.Context(), s.secret("one")))
	s.must(world.Client.Patch(t.Context(), s.account("two"), client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":null}`))))
	s.await("what was undone meanwhile", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	if n := s.mints(); n != 1 {
		t.Errorf("%d tokens were minted, want 1", n)
	}
}

// A leader whom nobody hears any more ends, and another one follows. Once it is heard again, and started again, it waits for the Lease, and
// works when it has got it.
func TestALeaderThatNobodyHearsIsFollowed(t *testing.T) {
	s := newScene(t)
	defer s.end()
	w := s.wired()
	unheard := s.replica()
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	world.Wire = "" // the next one is elsewhere
	standby, first := s.replica(), s.leader()

	unheard.MayEnd()
	if w.forget(true) == 0 {
		t.Fatal("the leader had no connection")
	}
	s.await("another leader", func() bool { return s.leader() != first })
	s.await("the end of the one before", unheard.Ended)
	s.must(world.Client.Delete(t.Context(), s.secret("one")))
	s.await("a Secret of the second leader", func() bool { return s.served("one", true) })

	w.mend()
	world.Wire = w.address()
	again, second := s.replica(), s.leader()
	s.must(standby.Stop())
	s.await("a third leader", func() bool { return s.leader() != second && s.leader() != "" })
	s.must(world.Client.Delete(t.Context(), s.secret("two")))
	s.await("a Secret of the third leader", func() bool { return s.served("two", true) })
	if n := s.mints(); n > 3 {
		t.Errorf("%d tokens were minted, want one for each leader at most", n)
	}
	s.must(again.Stop())
	_ = unheard.Kill() // so that it is not stopped again
}
