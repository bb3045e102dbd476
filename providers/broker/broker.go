// Package broker stands between the providers and those who need tokens: it makes at most one call per distinct request, whoever asks, and
// remembers what it got.
package broker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	// callTimeout bounds one provider call with all its round trips.
	callTimeout = 30 * time.Second
	minBackoff  = time.Second
	maxBackoff  = 2 * time.Minute
	// maxRetryAfter bounds how long a cloud can silence us by a Retry-After header.
	maxRetryAfter = 15 * time.Minute
	// terminalRetry is how often an error that only the spec can mend is tried again all the same: never say never.
	terminalRetry = time.Hour
	// idle is how long a slot without a live token is remembered after the last request for it.
	idle = 10 * time.Minute
)

// Broker holds live tokens in memory and mints new ones, one call at a time for each distinct request, whoever asks and however
// often. It never blocks its callers, so a hung cloud delays only those who wait for that cloud.
type Broker struct {
	base      context.Context //nolint:containedctx // calls outlive the reconcile that starts them, and end with the process
	providers map[string]providers.Provider
	clock     clock.PassiveClock

	mu        sync.Mutex
	slots     map[string]*slot
	endpoints map[string]*endpoint
	// held is the live token of each source that expires last, whatever refresh request it answers.
	held map[string]providers.Token
	// revocable are the live tokens that can be revoked, by their ID.
	revocable map[string]revocable
	// refusals are of the sources whose token a registry has refused.
	refusals map[string]refusal
	trials   map[[sha256.Size]byte]*trial
	// trying is how many trials are under way.
	trying int
}

// revocable is who can revoke a token.
type revocable struct {
	req       providers.Request
	expiresAt time.Time
}

// New returns a Broker over the given providers, by the name of their union member. Calls end when ctx does.
func New(ctx context.Context, c clock.PassiveClock, all map[string]providers.Provider) *Broker {
	return &Broker{
		base: ctx, providers: all, clock: c,
		slots: map[string]*slot{}, endpoints: map[string]*endpoint{}, held: map[string]providers.Token{}, revocable: map[string]revocable{},
		refusals: map[string]refusal{}, trials: map[[sha256.Size]byte]*trial{},
	}
}

// Token returns a live token that expires later than newerThan; the zero time asks for any live token.
//
// If a call is needed it is started, and Token returns a *PendingError; wake is then called once, when the call has ended. After a
// failed call Token returns its *Error until the time to try again has come; RetryAfter is what remains until then.
func (b *Broker) Token(req providers.Request, newerThan time.Time, wake func()) (providers.Token, error) {
	name, _ := req.Registry.Provider()
	provider, ok := b.providers[name]
	if !ok {
		return providers.Token{}, &providers.Error{
			Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, RetryAfter: terminalRetry,
			Err: fmt.Errorf("provider %q is not set up in this controller: see its flags, or remove the entry", name),
		}
	}
	key := req.Key()
	now := b.clock.Now()

	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[key]
	if s == nil {
		s = &slot{source: req.Source()}
		b.slots[key] = s
	}
	s.askedAt = now
	if s.token.ExpiresAt.After(now) && s.token.ExpiresAt.After(newerThan) {
		return s.token, nil
	}
	if s.failure != nil && now.Before(s.retryAt) {
		failure := *s.failure
		failure.RetryAfter = s.retryAt.Sub(now)
		return providers.Token{}, &failure
	}
	s.waiting = append(s.waiting, wake)
	if !s.calling {
		s.calling, s.since = true, now
		go b.call(key, s, provider, req, b.endpoint(req.Endpoint()))
	}
	return providers.Token{}, &providers.PendingError{Since: s.since}
}

// Held returns the best live token from the source of req that is in memory, without asking anybody for it. It may answer another
// refresh request than that of req.
func (b *Broker) Held(req providers.Request) (providers.Token, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	token, ok := b.held[req.Source()]
	return token, ok && token.ExpiresAt.After(b.clock.Now())
}

// endpoint returns the endpoint of this name. The caller holds the lock.
func (b *Broker) endpoint(name string) *endpoint {
	e := b.endpoints[name]
	if e == nil {
		e = newEndpoint(name)
		b.endpoints[name] = e
	}
	e.use(b.clock.Now())
	return e
}

func (b *Broker) call(key string, s *slot, provider providers.Provider, req providers.Request, e *endpoint) {
	token, err := e.do(b.base, b.clock.Now, func() (providers.Token, error) { return b.mint(provider, req) })

	b.mu.Lock()
	now := b.clock.Now()
	if err == nil {
		// Whole seconds, as they are written down: a token must not seem newer than its own record.
		token.IssuedAt, token.ExpiresAt = now, token.ExpiresAt.Truncate(time.Second)
		err = s.accept(token, now)
	}
	if err == nil {
		s.failure, s.failures, s.life = nil, 0, token.ExpiresAt.Sub(now)
		if source := req.Source(); token.ExpiresAt.After(b.held[source].ExpiresAt) {
			b.held[source] = token
		}
		if token.ID != "" {
			b.revocable[token.ID] = revocable{req, token.ExpiresAt}
		}
	} else {
		s.fail(key, err, now)
	}
	s.calling = false
	waiting := s.waiting
	s.waiting = nil
	b.sweep(now)
	b.mu.Unlock()

	for _, wake := range waiting {
		wake()
	}
}

// Revoke ends a token that was minted here, as the identity that it was minted with, and calls done when that has ended. What is not known
// here is left alone, and so is the token that is handed out at present: an ID comes from where others may write, too.
func (b *Broker) Revoke(id string, done func(error)) {
	b.mu.Lock()
	token, known := b.revocable[id]
	if !known || b.held[token.req.Source()].ID == id {
		b.mu.Unlock()
		done(nil)
		return
	}
	e := b.endpoint(token.req.Endpoint())
	b.mu.Unlock()
	name, _ := token.req.Registry.Provider()
	go func() {
		_, err := e.do(b.base, b.clock.Now, func() (providers.Token, error) {
			ctx, cancel := context.WithTimeout(b.base, callTimeout)
			defer cancel()
			return providers.Token{}, providers.Revoke(ctx, b.providers[name], token.req, id)
		})
		done(err)
	}()
}

func (b *Broker) mint(provider providers.Provider, req providers.Request) (token providers.Token, err error) {
	ctx, cancel := context.WithTimeout(b.base, callTimeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = providers.Errorf(v1alpha1.ReasonInternal, "a call to %s panicked; please report this as a bug", req.Endpoint())
		}
	}()
	token, err = provider.Token(ctx, req)
	if err != nil && ctx.Err() != nil {
		err = providers.Errorf(v1alpha1.ReasonUnavailable, "no answer within %s: check the endpoint, the proxy and the network policies of the controller", callTimeout)
	}
	return token, err
}

// sweep forgets what nobody can need any more.
func (b *Broker) sweep(now time.Time) {
	for key, s := range b.slots {
		if !s.calling && !s.token.ExpiresAt.After(now) && now.Sub(s.askedAt) > idle && now.After(s.retryAt) {
			delete(b.slots, key)
		}
	}
	for name, e := range b.endpoints {
		if e.idleSince(now.Add(-idle), now) {
			delete(b.endpoints, name)
		}
	}
	for id, token := range b.revocable {
		if !token.expiresAt.After(now) {
			delete(b.revocable, id)
		}
	}
	b.sweepRefusals(now)
	for source, token := range b.held {
		if !token.ExpiresAt.After(now) {
			delete(b.held, source)
		}
	}
}
