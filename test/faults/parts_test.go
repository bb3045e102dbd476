package faults

import (
	"net/http"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/controlplane/assets"
)

// upright lets no request of the tests begin while a part of the control plane is away.
var upright sync.RWMutex

// patient makes a client whose requests wait for that.
func patient(config *rest.Config, c client.Client) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return waiting{next} })
	return client.NewWithWatch(config, client.Options{Scheme: c.Scheme()})
}

type waiting struct{ next http.RoundTripper }

func (w waiting) RoundTrip(r *http.Request) (*http.Response, error) {
	upright.RLock()
	defer upright.RUnlock()
	return w.next.RoundTrip(r)
}

// crash ends a part of the control plane as kill -9 does, and starts it again on what it has left.
func crash(t *testing.T, part string) {
	t.Helper()
	upright.Lock()
	defer upright.Unlock()
	if err := world.Crash(part); err != nil {
		t.Errorf("%s: %v", part, err)
	}
}

// The API server, or etcd, is killed at a write: before it takes place, or after, when neither the controller nor a watch has heard of it.
func TestAPartThatIsKilledAtAWriteLosesNothing(t *testing.T) {
	clean, mints := effects(t)
	for _, part := range []string{assets.APIServer, assets.Etcd} {
		for _, at := range clean {
			for _, after := range []bool{false, true} {
				if at.among == callToECR || !*nightly && (!after || at.at > 1 || at.among != "POST secrets" && at.among != "PUT secrets") {
					continue
				}
				at.after = after
				t.Run(part+" "+at.String(), func(t *testing.T) {
					at.crash = func() { crash(t, part) }
					if done, took := play(t, at); took > mints {
						t.Errorf("%d tokens were minted, want %d: %q", took, mints, done)
					}
				})
			}
		}
	}
}

// While a watch is slow, etcd forgets what it has not seen yet, and the API server does, too. It lists anew, and nothing is missed.
func TestAWatchThatIsTooSlowBeginsAnew(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	between.mu.Lock()
	before := between.expired
	between.mu.Unlock()

	between.hold()
	s.must(world.Client.Delete(t.Context(), s.secret("one")))
	s.selected("two", false)
	between.held(still)
	s.must(world.Compact(t.Context()))
	crash(t, assets.APIServer) // it remembers more than etcd
	between.flow()
	s.await("what nobody has heard of", func() bool { return s.served("one", true) && s.served("two", false) && s.reported(1) })
	between.mu.Lock()
	defer between.mu.Unlock()
	if between.expired == before {
		t.Error("no watch was told that it was too slow")
	}
	if n := s.mints(); n != 1 {
		t.Errorf("%d tokens were minted, want 1", n)
	}
}
