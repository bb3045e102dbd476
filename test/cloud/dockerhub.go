package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// CanaryDockerHub is in every personal access token of Docker Hub, behind Hub's own prefix.
const CanaryDockerHub = canaryPrefix + "hub-"

const (
	hubTokenPrefix = "dckr_pat_"
	hubRegistry    = "registry-1.docker.io"
	hubAuth        = "auth.docker.io"
	hubService     = "registry.docker.io"
)

// DockerHubOptions are the initial settings. The zero value is a healthy Hub on the machine's clock.
type DockerHubOptions struct {
	// Clock decides when tokens of the realm expire and pulls count no longer.
	Clock func() time.Time

	Auth, Registry Fault

	// Internet is where the Hub is; nil for one of its own.
	Internet *Internet
}

// DockerHub is an emulated Docker Hub: its token endpoint and its registry. Its methods and fields may be used from any goroutine.
type DockerHub struct {
	// Auth and Registry change how each of them misbehaves.
	Auth, Registry *Faults

	clock    *clock
	calls    *callCounter
	realm    *tokenRealm
	registry *guardedRegistry
	internet *Internet
	alone    bool

	authServer, registryServer *server

	mu     sync.Mutex
	users  map[string]*hubAccount
	public []string
}

// HubUser is an account of Docker Hub.
type HubUser struct {
	Name string
	// Pull lists the private repositories that the user may pull, as path.Match patterns, or "*" alone for every one.
	Pull []string
	// PullLimit is how many manifests the user may get in six hours; 0 is no limit, as for paid accounts.
	PullLimit int
}

// StartDockerHub starts a Hub without users.
func StartDockerHub(opts DockerHubOptions) (*DockerHub, error) {
	h := &DockerHub{
		Auth: newFaults(opts.Auth), Registry: newFaults(opts.Registry),
		clock: newClock(opts.Clock, 0),
		calls: newCallCounter(),
		users: map[string]*hubAccount{hubAnonymous: {limit: hubAnonymousLimit}},
	}
	h.realm = h.hubRealm()
	h.registry = h.hubGuardedRegistry()
	if err := h.start(opts.Internet); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *DockerHub) start(internet *Internet) (err error) {
	if h.internet, h.alone, err = joinInternet(internet); err != nil {
		return err
	}
	if h.authServer, err = startServer(h.authService(), h.internet.ca); err != nil {
		return fmt.Errorf("starting %s: %w", hubAuth, err)
	}
	if h.registryServer, err = startServer(h.registryService(), h.internet.ca); err != nil {
		return fmt.Errorf("starting %s: %w", hubRegistry, err)
	}
	h.internet.Route(func(host string) (string, bool) {
		if host == hubAuth {
			return h.authServer.address(), true
		}
		return h.registryServer.address(), isHubHost(host)
	})
	return nil
}

// Close ends every connection, hanging calls included.
func (h *DockerHub) Close() error {
	var errs []error
	for _, s := range []*server{h.authServer, h.registryServer} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	h.Auth.Reset()
	h.Registry.Reset()
	if h.alone && h.internet != nil {
		errs = append(errs, h.internet.Close())
	}
	return errors.Join(errs...)
}

// Internet is where the Hub is.
func (h *DockerHub) Internet() *Internet { return h.internet }

// Transport trusts the Hub's CA and connects its hosts to the emulator, so that clients use the real names.
func (h *DockerHub) Transport() *http.Transport { return h.internet.Transport() }

// SeedImage stores a tiny image and returns its digest.
func (h *DockerHub) SeedImage(repository, tag string) (digest string, err error) {
	return h.registry.seed(hubRegistry, repository, tag)
}

// Calls counts what was called since the start or the last ResetCalls.
func (h *DockerHub) Calls() Calls { return h.calls.snapshot() }

// ResetCalls sets all counters to zero.
func (h *DockerHub) ResetCalls() { h.calls.reset() }
