package faults

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/regcred/regcred/test/lab"
)

// A leader that stands still for longer than its Lease lasts, as on a node that hangs, has a successor. When it goes on it ends, and has
// neither written nor asked the cloud for anything.
func TestALeaderThatStoodStillDoesNothingMore(t *testing.T) {
	s := newScene(t)
	defer s.end()
	s.must(controller.Stop()) // it has no Lease
	defer func() { s.must(startController(s.Context())) }()
	between.arm(trap{})
	leader := s.replica()
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	standby, first := s.replica(), s.leader()

	s.must(leader.Pause())
	s.await("another leader", func() bool { return s.leader() != first })
	// Nobody asks twice within a minute.
	s.must(standby.Advance(t.Context(), 2*time.Minute))
	old := s.password("one")
	s.refresh("while it stands still")
	s.await("new tokens", func() bool {
		return s.password("one") != old && s.password("two") != old && s.served("one", true) && s.served("two", true)
	})
	s.await("the refresh to be reported", func() bool { return s.answered("while it stands still") })

	between.arm(trap{})
	leader.MayEnd()
	s.must(leader.Resume())
	s.await("its end", leader.Ended)
	if done := between.counted(); len(done) > 0 {
		t.Errorf("after its Lease was over it has done %q", done)
	}
	if n := s.mints(); n != 2 {
		t.Errorf("%d tokens were minted, want 2", n)
	}
	s.must(standby.Stop())
	_ = leader.Kill() // so that it is not stopped again
}

// replica starts one of several controllers, whose Lease is short.
func (s *scene) replica() *lab.Steered {
	s.Helper()
	c, err := world.StartSteered(s.Context(), clock, output,
		"--leader-elect", "--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms")
	s.must(err)
	return c
}

// leader is who holds the Lease.
func (s *scene) leader() string {
	s.Helper()
	leases := &coordinationv1.LeaseList{}
	s.must(world.Client.List(s.Context(), leases, client.InNamespace(lab.Namespace)))
	for _, l := range leases.Items {
		if l.Spec.HolderIdentity != nil {
			return *l.Spec.HolderIdentity
		}
	}
	return ""
}

// answered is whether a refresh request has been, everywhere.
func (s *scene) answered(request string) bool {
	c := s.credential()
	s.must(world.Client.Get(s.Context(), client.ObjectKeyFromObject(c), c))
	return c.Status.LastHandledRefreshAt == request
}
