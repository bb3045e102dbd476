// Package broker stands between the providers and those who need tokens: it makes at most one call for a source at a time, whoever asks
// and however often, and remembers what it got.
package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

const (
	// defaultBytes is what tokens in memory take together. It is enough for thousands of them; what is beyond costs a call when a Secret has
	// to be repaired.
	defaultBytes = 8 << 20
	// idle is how long what nobody names and nobody asks for is remembered.
	idle = 10 * time.Minute
	// waiterCrowded is how long one that finds no room there waits.
	waiterCrowded = 10 * time.Second
)

// Options are what a Broker works with.
type Options struct {
	Clock clock.PassiveClock
	// Providers are by the name of their union member.
	Providers map[string]providers.Provider
	// Trials tries tokens at their registry; nil if none are tried.
	Trials Trials
	// Metrics counts calls and trials; nil for none.
	Metrics *Metrics
	// Bytes bounds the tokens in memory; 0 is defaultBytes.
	Bytes int
	// Retired is told the names of tokens that are no longer handed out and can be revoked, and whose they are; nil for nobody. It may not block.
	Retired func(tenant string, name providers.TokenName)
}

// Broker holds live tokens in memory and mints new ones. It never blocks its callers, so a hung cloud delays only those who wait for that
// cloud.
type Broker struct {
	Options
	base      context.Context //nolint:containedctx // calls outlive the reconcile that starts them, and end with the process
	scheduler *scheduler

	// mu is taken before the scheduler's lock, where both are. Whoever is told of something, a waiter, Retired or the end of a call, is told with
	// neither.
	mu    sync.Mutex
	slots map[string]*slot
	named map[providers.Owner]naming
	bytes *budget
	// revocable are the live tokens that can be revoked, by their name.
	revocable *expiring.Map[providers.TokenName, revocable]
	// trials are under way, by what is tried, and trying counts them by tenant; verdicts say how those that have ended did.
	trials   map[trialKey]*trial
	trying   map[string]int
	verdicts *expiring.Map[trialKey, verdict]
	sweptAt  time.Time
}

// New returns a Broker. Its calls end when ctx does.
func New(ctx context.Context, o Options) *Broker {
	if o.Bytes == 0 {
		o.Bytes = defaultBytes
	}
	if o.Retired == nil {
		o.Retired = func(string, providers.TokenName) {}
	}
	return &Broker{
		Options: o, base: ctx, scheduler: newScheduler(ctx, o.Clock, o.Providers),
		slots: map[string]*slot{}, named: map[providers.Owner]naming{}, bytes: newBudget(o.Bytes),
		revocable: newRevocables(o.Clock),
		trials:    map[trialKey]*trial{}, trying: map[string]int{},
		verdicts: newVerdicts(o.Clock),
		sweptAt:  o.Clock.Now(),
	}
}

// Token returns a live token that was minted later than newerThan, and after the refresh request of req was first seen; the zero time and
// no refresh request ask for any live token.
//
// If a call is needed it is started, and Token returns a *PendingError; w.Wake is then called once, when the call has ended. After a
// failed call Token returns its *Error until the time to try again has come; RetryAfter is what remains until then. When it is too early
// for another token, the *PendingError says when to ask again, and nobody is woken.
func (b *Broker) Token(req providers.Request, newerThan time.Time, w providers.Waiter) (providers.Token, error) {
	name, _ := req.Registry.Provider()
	provider, ok := b.Providers[name]
	if !ok {
		return providers.Token{}, &providers.Error{
			Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, RetryAfter: terminalRetry,
			Err: fmt.Errorf("provider %q is not set up in this controller: see its flags, or remove the entry", name),
		}
	}
	source, now := req.Source(), b.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	s := b.slots[source]
	if s == nil {
		s = &slot{source: source}
		b.slots[source] = s
	}
	s.askedAt, s.dropped = now, false
	s.refreshes.see(b.Clock, stampOf(req))
	if s.serves(stampOf(req), newerThan, now) {
		b.bytes.ask(s)
		return s.token, nil
	}
	if failure := s.backingOff(stampOf(req), now); failure != nil {
		return providers.Token{}, failure
	}
	return providers.Token{}, b.await(s, provider, req, w, now)
}

// await has a token minted, and the caller woken then. The caller holds the lock.
func (b *Broker) await(s *slot, provider providers.Provider, req providers.Request, w providers.Waiter, now time.Time) error {
	switch early := s.early(stampOf(req), now); {
	case s.call != nil:
		b.scheduler.join(s.call, asker{req.Tenant, req.Urgency})
	case early > 0:
		return &providers.PendingError{Since: s.token.IssuedAt, RetryAfter: early}
	default:
		c, err := b.mint(s, provider, req, asker{req.Tenant, req.Urgency})
		if err != nil {
			s.fail(err, now)
			return s.backingOff(stampOf(req), now)
		}
		s.begin(c, stampOf(req), now)
	}
	if !s.waiting.add(w) {
		return &providers.PendingError{Since: s.since, RetryAfter: waiterCrowded}
	}
	return &providers.PendingError{Since: s.since}
}

// Ready says whether Token would return a token now. It asks nobody for one, and a refresh request that Token was never asked for is open.
func (b *Broker) Ready(req providers.Request, newerThan time.Time) bool {
	source, now, refresh := req.Source(), b.Clock.Now(), stampOf(req)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[source]
	return s != nil && s.refreshes.has(refresh) && s.serves(refresh, newerThan, now)
}

// InMemory returns the live token from the source of req that is in memory, without asking anybody for it. It may not answer the refresh request
// of req.
func (b *Broker) InMemory(req providers.Request) (providers.Token, bool) {
	source, now := req.Source(), b.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[source]
	if s == nil || !s.present(now) {
		return providers.Token{}, false
	}
	s.askedAt = now
	b.bytes.ask(s)
	return s.token, true
}

// RefusedIssuedAt is the issue time of the newest token of the source that a registry has refused: older ones are good for nothing, too. The zero
// time is none.
func (b *Broker) RefusedIssuedAt(req providers.Request) time.Time {
	source := req.Source()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.slots[source]; s != nil {
		return s.refusedIssuedAt
	}
	return time.Time{}
}

// Refuse says that the registry at the host refuses the login. If it is of the token that was minted here from the source of req, and for this
// very host, that token is handed out no longer, whoever holds it is to ask for another, and Refuse returns true. Any other login, and any
// other host, concerns only the Secret that the login is in: what stands there others may have written, and a host that is not named, or only
// by a glob, may be theirs.
func (b *Broker) Refuse(req providers.Request, login providers.Login, host string) bool {
	source, now := req.Source(), b.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slots[source]
	if s == nil || !s.refuse(req, login, host, now) {
		return false
	}
	b.bytes.drop(s)
	s.token.Logins = nil
	return true
}

// Mend is what only somebody else can do about the refused token of the source; empty if it is not refused, or is replaced.
func (b *Broker) Mend(req providers.Request) string {
	source := req.Source()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.slots[source]; s != nil && s.refused() && s.token.Copied {
		return cureOf(req)
	}
	return ""
}

// Annotations are the keys of a ServiceAccount's annotations that the provider of the entry reads.
func (b *Broker) Annotations(entry *v1alpha1.Registry) []string {
	name, _ := entry.Provider()
	if p, ok := b.Providers[name].(providers.Annotated); ok {
		return p.Annotations()
	}
	return nil
}

// Hosts are those that a token of the entry is for, as far as its provider can tell without one.
func (b *Broker) Hosts(entry *v1alpha1.Registry) []string {
	name, _ := entry.Provider()
	if p, ok := b.Providers[name].(providers.HostLister); ok {
		return p.Hosts(entry)
	}
	return nil
}

// AllAnnotations are those that any provider reads.
func (b *Broker) AllAnnotations() sets.Set[string] {
	all := sets.New[string]()
	for _, p := range b.Providers {
		if reads, ok := p.(providers.Annotated); ok {
			all.Insert(reads.Annotations()...)
		}
	}
	return all
}

// endpointOf names where the call of the request goes: what is limited, and given a rest, as one.
func endpointOf(p providers.Provider, req providers.Request) string {
	name, member := req.Registry.Provider()
	if e, ok := p.(providers.Endpointer); ok {
		member = e.Endpoint(req)
	}
	if member == "" {
		return name
	}
	return name + "/" + member
}
