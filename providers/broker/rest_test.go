package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// partly finds the endpoint down in the calls of attackers, after latency.
type partly struct {
	*fake
	latency time.Duration
}

func (p partly) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	token, err := p.fake.Token(ctx, req)
	if err == nil && strings.HasPrefix(req.Tenant, "attacker") {
		if err = takes(ctx, p.latency); err == nil {
			err = down()
		}
		return providers.Token{}, err
	}
	return token, err
}

// besiege has the sources of three tenants fail at the endpoint for a while, as often as they may.
func besiege(b *broker.Broker, lasts time.Duration, each func()) {
	for start := time.Now(); time.Since(start) < lasts; pass(2 * time.Second) {
		for n := range 12 {
			_, _ = b.Token(entry(fmt.Sprint("attacker", n%3), "eu-west-1", n), time.Time{}, nil)
		}
		synctest.Wait()
		each()
	}
}

// Who chooses its sources can have its own calls come first after each rest.
func TestThreeTenantsCannotKeepAnEndpointFromOthers(t *testing.T) {
	for name, latency := range map[string]time.Duration{"at once": 0, "after a while": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t, partly{&fake{life: time.Hour}, latency})
				neighbour := must(t, b, entry("neighbour", "eu-west-1", 0), time.Time{})
				besiege(b, 5*time.Minute, func() {})
				var askedAt, retryAt time.Time
				served := 0
				besiege(b, 2*time.Hour, func() {
					now := time.Now()
					if now.Sub(askedAt) > 15*time.Minute {
						// The administrator's own calls, and those of who was served last time, do not wait at all.
						if served++; served%2 == 0 {
							must(t, b, entry("", "eu-west-1", served), time.Time{})
						} else {
							neighbour = must(t, b, entry("neighbour", "eu-west-1", 0), neighbour.IssuedAt)
						}
						askedAt, retryAt = now, now.Add(5*time.Minute)
					}
					if retryAt.IsZero() || now.Before(retryAt) {
						return
					}
					_, err := b.Token(entry(fmt.Sprint("newcomer", served), "eu-west-1", 0), time.Time{}, nil)
					var f *providers.Error
					switch {
					case errors.As(err, &f):
						retryAt = time.Now().Add(f.RetryAfter + 2*time.Second) // later than the attackers
					case err == nil:
						if waited := time.Since(askedAt); waited > 8*time.Minute {
							t.Errorf("a newcomer waited %s", waited)
						}
						retryAt = time.Time{}
					}
				})
				if !retryAt.IsZero() || served < 5 {
					t.Errorf("newcomer %d has no token", served)
				}
			})
		})
	}
}

func TestARestForAllSparesAnEndpointThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{err: down()}
		b := newBroker(t, p)
		for n := range 12 {
			_, _ = ask(b, entry(fmt.Sprint("t", n%3), "eu-west-1", n), time.Time{})
		}
		before := p.calls.Load()
		for start := time.Now(); time.Since(start) < time.Hour; pass(time.Second) {
			for n := range 50 {
				_, _ = b.Token(entry(fmt.Sprint("bystander", n%5), "eu-west-1", n), time.Time{}, nil)
			}
			synctest.Wait()
		}
		// Five tenants, about one call a minute each.
		if got := p.calls.Load() - before; got < 100 || got > 600 {
			t.Errorf("%d calls in an hour", got)
		}
		p.err, p.life = nil, time.Hour
		pass(2*time.Minute + time.Second)
		must(t, b, entry("bystander0", "eu-west-1", 0), time.Time{})
		must(t, b, entry("another", "eu-west-1", 0), time.Time{})
	})
}

func TestAnotherSourceFindsOutAfterEachRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		p := &fake{err: down()}
		b := newBroker(t, recording{p, &order})
		for start := time.Now(); time.Since(start) < time.Hour; pass(time.Second / 50) {
			for n := range 4 {
				_, _ = b.Token(entry("a", "eu-west-1", n), time.Time{}, nil)
			}
			synctest.Wait()
		}
		by := map[string]int{}
		for _, source := range order[len(order)/2:] {
			by[source]++
		}
		if len(by) != 4 {
			t.Errorf("after a rest only these find out: %v", by)
		}
	})
}
