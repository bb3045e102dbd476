package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultJFrogHost is the host of a platform that nothing else is said of.
const DefaultJFrogHost = "acme.jfrog.io"

// jfrogPersistencyThreshold is the default of Access: a token that lives for less is not stored, and so cannot be revoked.
const jfrogPersistencyThreshold = 3 * time.Hour

// JFrogOptions are the initial settings. The zero value is a healthy platform on the machine's clock.
type JFrogOptions struct {
	// Internet is where the platform is; nil for one of its own.
	Internet *Internet
	// Clock decides when tokens expire. Tokens of ServiceAccounts are judged by the machine's clock, as their issuer's cannot be injected.
	Clock func() time.Time
	// ClockOffset is by how much every clock of the platform is ahead of ours.
	ClockOffset time.Duration
	// Host is the platform's, and the one of its registry; DefaultJFrogHost if empty. Its repositories have hosts of their own, too.
	Host string
	// AWS is where roles come from that may log in; nil for a platform without that.
	AWS *AWS
	// MaxExpiry is what the administrator allows; 0 for no limit.
	MaxExpiry time.Duration
	// PersistencyThreshold defaults to the 3 h of Access.
	PersistencyThreshold time.Duration
	// Projects are the keys of the platform's projects.
	Projects []string
	// AnonymousAnswer leaves the username out of the answer to an exchange, as older versions do.
	AnonymousAnswer bool
	// BearerChallenge has the registry lead clients to its token endpoint; without it, they are asked for Basic authentication.
	BearerChallenge bool

	Access, Registry Fault
}

// JFrog is one emulated JFrog platform: its service Access and the Docker registry of its Artifactory. Its methods and fields may be used
// from any goroutine.
type JFrog struct {
	// Access and Registry change how each of them misbehaves.
	Access, Registry *Faults

	options   JFrogOptions
	clock     *clock
	tokenLife atomic.Int64
	calls     *callCounter
	tokens    *jfrogTokens
	registry  *guardedRegistry
	// inFront answers in place of the platform, if it is there.
	inFront atomic.Pointer[http.Handler]

	mu        sync.Mutex
	users     map[string]JFrogUser
	readable  map[string][]string // repositories by group
	ports     map[string]string   // repositories by port
	providers map[string]JFrogProvider
	roles     map[string]string // users by ARN

	internet *Internet
	alone    bool
	server   *server
}

// StartJFrog starts a platform without users.
func StartJFrog(opts JFrogOptions) (*JFrog, error) {
	if opts.Host == "" {
		opts.Host = DefaultJFrogHost
	}
	if opts.PersistencyThreshold == 0 {
		opts.PersistencyThreshold = jfrogPersistencyThreshold
	}
	j := &JFrog{
		Access: newFaults(opts.Access), Registry: newFaults(opts.Registry),
		options: opts, clock: newClock(opts.Clock, opts.ClockOffset), calls: newCallCounter(), tokens: newJFrogTokens(),
		users: map[string]JFrogUser{}, readable: map[string][]string{}, ports: map[string]string{}, providers: map[string]JFrogProvider{}, roles: map[string]string{},
	}
	j.registry = j.jfrogRegistry()
	if err := j.start(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

func (j *JFrog) start() (err error) {
	if j.internet, j.alone, err = joinInternet(j.options.Internet); err != nil {
		return err
	}
	access, registry := j.accessService(), j.registry.service(j.Registry, j.calls, j.clock)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inFront := j.inFront.Load(); inFront != nil {
			(*inFront).ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/v2/") || j.registry.realm != nil && j.registry.realm.is(r) {
			registry.ServeHTTP(w, r)
			return
		}
		access.ServeHTTP(w, r)
	})
	if j.server, err = startServer(handler, j.internet.ca); err != nil {
		return fmt.Errorf("starting the JFrog platform: %w", err)
	}
	j.internet.Route(func(host string) (string, bool) { return j.server.address(), j.isHost(host) })
	return nil
}

// Close ends every connection, hanging calls included.
func (j *JFrog) Close() error {
	var errs []error
	if j.server != nil {
		errs = append(errs, j.server.close())
	}
	j.Access.Reset()
	j.Registry.Reset()
	if j.alone && j.internet != nil {
		errs = append(errs, j.internet.Close())
	}
	return errors.Join(errs...)
}

// URL is the base of the platform.
func (j *JFrog) URL() string { return "https://" + j.options.Host }

// Internet is where the platform is.
func (j *JFrog) Internet() *Internet { return j.internet }

// Transport trusts the platform's CA and connects its hosts to it.
func (j *JFrog) Transport() *http.Transport { return j.internet.Transport() }

// SetTokenLife decides on the life of the tokens issued from now on, whatever is asked for; zero leaves it to the request, or to the
// identity mapping.
func (j *JFrog) SetTokenLife(life time.Duration) { j.tokenLife.Store(int64(life)) }

// SetClockOffset sets by how much every clock of the platform is ahead of ours.
func (j *JFrog) SetClockOffset(offset time.Duration) { j.clock.offset.Store(int64(offset)) }

// PutInFront has something else answer at the platform's hosts, such as a proxy; nil takes it away.
func (j *JFrog) PutInFront(handler http.Handler) {
	if handler == nil {
		j.inFront.Store(nil)
		return
	}
	j.inFront.Store(&handler)
}

// Calls counts what was called since the start or the last ResetCalls.
func (j *JFrog) Calls() Calls { return j.calls.snapshot() }

// ResetCalls sets all counters to zero.
func (j *JFrog) ResetCalls() { j.calls.reset() }

// SeedImage stores a tiny image in the registry of host and returns its digest. At the platform's own host the name of a repository of
// images begins with the key of the repository of Artifactory.
func (j *JFrog) SeedImage(host, repository, tag string) (digest string, err error) {
	return j.registry.seed(host, repository, tag)
}
