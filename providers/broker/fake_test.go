package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// fake mints tokens that live for life, or fails with err, after latency. A negative latency hangs until the caller gives up.
type fake struct {
	life    time.Duration
	latency time.Duration
	err     error
	// change alters the tokens.
	change func(*providers.Token)
	calls  atomic.Int32

	mu sync.Mutex
	// by counts the calls of each tenant.
	by      map[string]int
	revoked []string
	// endedFor is the external ID of the entry whose token was revoked last.
	endedFor string
}

// takes lasts as long as a call does, or until nobody waits any more. A timer that is due at once is never made: two goroutines of one bubble
// that find theirs due crash the race detector (https://go.dev/issue/78156).
func takes(ctx context.Context, wait time.Duration) error {
	if wait == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	n := f.calls.Add(1)
	f.mu.Lock()
	if f.by == nil {
		f.by = map[string]int{}
	}
	f.by[req.Tenant]++
	f.mu.Unlock()
	wait := f.latency
	if wait < 0 {
		wait = 1000 * time.Hour
	}
	if err := takes(ctx, wait); err != nil {
		return providers.Token{}, err
	}
	if f.err != nil {
		return providers.Token{}, f.err
	}
	token := providers.Token{
		Logins: []providers.Login{{
			Username: "AWS", Password: providers.Sensitive(fmt.Sprintf("token-%d", n)), Hosts: []string{"registry.example"},
		}},
		ExpiresAt: time.Now().Add(f.life),
	}
	if f.change != nil {
		f.change(&token)
	}
	return token, nil
}

func (f *fake) Revoke(_ context.Context, req providers.Request, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked, f.endedFor = append(f.revoked, id), req.Registry.ECR.ExternalID
	return f.err
}

func (f *fake) ended() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.revoked...)
}

func (f *fake) of(tenant string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[tenant]
}

func newBroker(t *testing.T, p providers.Provider) *broker.Broker {
	t.Helper()
	return with(t, p, broker.Options{})
}

func with(t *testing.T, p providers.Provider, o broker.Options) *broker.Broker {
	t.Helper()
	o.Clock, o.Providers = clock.RealClock{}, map[string]providers.Provider{"ecr": p}
	return broker.New(t.Context(), o)
}

func request(region string) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
}

// platform is a credential of the cluster.
var platform = providers.Owner{Name: "platform"}

// ownerIn is the credential of a tenant.
func ownerIn(tenant string) providers.Owner { return providers.Owner{Tenant: tenant, Name: "own"} }

// entry is one of many of a tenant, for one endpoint.
func entry(tenant, region string, n int) providers.Request {
	req := request(region)
	req.Tenant = tenant
	req.Registry.ECR.ExternalID = fmt.Sprintf("%s-%d", tenant, n)
	return req.Sealed()
}

// refreshing is the request with a refresh request.
func refreshing(req providers.Request, stamp string) providers.Request {
	req.RefreshStamp = stamp
	return req
}

// pass lets time pass.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the clock is synctest's

// wakes is a Waiter that is like no other.
type wakes struct{ wake func() }

func waking(wake func()) *wakes { return &wakes{wake} }

func (w *wakes) Wake() { w.wake() }

// ask asks until the call that it started has ended.
func ask(b *broker.Broker, req providers.Request, newerThan time.Time) (providers.Token, error) {
	woken := make(chan struct{})
	token, err := b.Token(req, newerThan, waking(func() { close(woken) }))
	if pending, ok := errors.AsType[*providers.PendingError](err); !ok || pending.RetryAfter > 0 {
		return token, err
	}
	<-woken
	return b.Token(req, newerThan, nil)
}

// must asks for a token that is to be had.
func must(t *testing.T, b *broker.Broker, req providers.Request, newerThan time.Time) providers.Token {
	t.Helper()
	token, err := ask(b, req, newerThan)
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	return token
}

func isPending(err error) bool {
	_, pending := errors.AsType[*providers.PendingError](err)
	return pending
}

// failure is the *providers.Error of that reason in err.
func failure(t *testing.T, err error, reason string) *providers.Error {
	t.Helper()
	f, ok := errors.AsType[*providers.Error](err)
	if !ok || f.Reason != reason {
		t.Fatalf("got %v, want %s", err, reason)
	}
	return f
}

// early is how long a request that comes too early for another token has to wait.
func early(t *testing.T, err error) time.Duration {
	t.Helper()
	pending, ok := errors.AsType[*providers.PendingError](err)
	if !ok || pending.RetryAfter <= 0 {
		t.Fatalf("got %v, want to be told to come again", err)
	}
	return pending.RetryAfter
}

// down is a failure of the endpoint's own.
func down() *providers.Error {
	return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, Err: errors.New("down")}
}

func quotes(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
