package broker

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/go-logr/logr"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// callTimeout bounds a provider call with all its round trips, unless the provider asks for more.
const callTimeout = 30 * time.Second

// mint calls the provider when the turn of the slot has come. It fails at once while the endpoint rests. The caller holds the lock.
func (b *Broker) mint(s *slot, provider providers.Provider, req providers.Request, a asker) (*call, error) {
	var began time.Time
	work := func() (providers.Token, error) {
		began = b.Clock.Now()
		token, err := b.ask(provider, req)
		b.Metrics.called(req, b.Clock.Since(began), err)
		return token, err
	}
	return b.scheduler.begin(endpointOf(provider, req), a, work, func(token providers.Token, err error) {
		id := token.ID
		if err == nil {
			token, err = guarded(b.base, endpointOf(provider, req), func() (providers.Token, error) { return b.prove(req, token) })
		}
		if err != nil && id != "" {
			// Nobody has it, and nobody gets it.
			b.Revoke(b.remember(req, id), func(error) {})
		}
		b.settle(s, req, token, began, err)
	})
}

func (b *Broker) ask(provider providers.Provider, req providers.Request) (providers.Token, error) {
	timeout := callTimeout
	if p, ok := provider.(providers.Slow); ok {
		timeout = p.CallTimeout()
	}
	ctx, cancel := context.WithTimeout(b.base, timeout)
	defer cancel()
	token, err := provider.Token(logr.NewContext(ctx, loggerOf(ctx, req)), req)
	if err != nil && ctx.Err() != nil {
		failure := providers.Errorf(v1alpha1.ReasonUnavailable, "no answer within %s: check the endpoint, the proxy and the network policies of the controller", timeout)
		failure.Scope = providers.ScopeEndpoint
		return providers.Token{}, failure
	}
	return token, err
}

// loggerOf is for what a provider says to those who look closely: the line stands under the credential that has the call made.
func loggerOf(ctx context.Context, req providers.Request) logr.Logger {
	return logr.FromContextOrDiscard(ctx).WithValues("credential", req.Credential, "registry", req.Registry.Name)
}

// settle takes the end of a mint, and wakes all who wait for it.
func (b *Broker) settle(s *slot, req providers.Request, token providers.Token, began time.Time, err error) {
	b.mu.Lock()
	now := b.Clock.Now()
	if s.owners.clusters > 0 {
		req.Tenant = "" // whoever's turn it was in
	}
	var retired providers.TokenName
	if err == nil {
		retired, err = s.accept(req, token, began, now)
	}
	if err != nil {
		s.fail(err, now)
	}
	s.call, s.made = nil, s.since
	if len(s.token.Logins) > 0 {
		b.bytes.add(s, req.Tenant)
	}
	if token.ID != "" {
		b.remember(req, token.ID)
	}
	var gone providers.TokenName
	if s.dropped {
		// Its last credential went while the call was under way.
		gone = b.forget(s)
	}
	waiting := s.waiting
	s.waiting = nil
	b.sweep(now)
	b.mu.Unlock()

	b.retire(retired, gone)
	waiting.wake()
}

// guarded makes a call, and makes a panic in it a failure: what it works on others have written. The log has where it was, and not the
// value, which may be a part of what is secret.
func guarded(ctx context.Context, name string, call func() (providers.Token, error)) (token providers.Token, err error) {
	defer func() {
		if recover() != nil {
			logr.FromContextOrDiscard(ctx).Error(nil, "A call panicked", "endpoint", name, "at", whereabouts())
			token, err = providers.Token{}, providers.Errorf(v1alpha1.ReasonInternal, "a call to %s panicked; please report this as a bug", name)
		}
	}()
	return call()
}

// whereabouts are the functions and lines of the stack, the innermost first.
func whereabouts() []string {
	frames := runtime.CallersFrames(func() []uintptr {
		var stack [32]uintptr
		return stack[:runtime.Callers(3, stack[:])]
	}())
	var at []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line))
	}
	return at
}
