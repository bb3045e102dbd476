package broker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
	"pgregory.net/rapid"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// weather is a cloud that does whatever the test draws, and notes what must never happen.
type weather struct {
	mu       sync.Mutex
	next     func() (latency, life time.Duration, err error)
	underway map[string]int
	minted   map[string]int
	wrong    []string
}

func (w *weather) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	source := req.Source()
	w.mu.Lock()
	if w.underway[source]++; w.underway[source] > 1 {
		w.wrong = append(w.wrong, "two calls for one source at once")
	}
	w.minted[source]++
	serial := w.minted[source]
	latency, life, err := w.next()
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.underway[source]--
	}()
	if err := takes(ctx, latency); err != nil {
		return providers.Token{}, err
	}
	return providers.Token{
		Logins:    []providers.Login{{Username: fmt.Sprint(serial), Password: "p", Hosts: []string{"h"}}},
		ExpiresAt: time.Now().Add(life), ID: fmt.Sprintf("%s/%d", source, serial),
	}, err
}

const (
	propertySources = 4
	propertyBytes   = 400 // two tokens or so
)

func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// What is drawn is drawn before: the calls come in goroutines of their own.
		latencies := rapid.SliceOfN(rapid.IntRange(0, 40), 64, 64).Draw(rt, "latencies")
		lives := rapid.SliceOfN(rapid.IntRange(-1, 7200), 64, 64).Draw(rt, "lives")
		failures := rapid.SliceOfN(rapid.IntRange(0, 9), 64, 64).Draw(rt, "failures")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [4]int {
			return [4]int{rapid.IntRange(0, 9).Draw(t, "what"), rapid.IntRange(0, propertySources-1).Draw(t, "source"),
				rapid.IntRange(0, 200).Draw(t, "seconds"), rapid.IntRange(0, 3).Draw(t, "tenant")}
		}), 1, 200).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) { runSteps(t, rt, steps, latencies, lives, failures) })
	})
}

func runSteps(t *testing.T, rt *rapid.T, steps [][4]int, latencies, lives, failures []int) {
	t.Helper()
	calls := 0
	w := &weather{underway: map[string]int{}, minted: map[string]int{}, next: func() (time.Duration, time.Duration, error) {
		calls++
		i := calls % len(latencies)
		var err error
		switch failures[i] {
		case 0:
			err = down()
		case 1:
			err = providers.Errorf(v1alpha1.ReasonAccessDenied, "no")
		}
		return time.Duration(latencies[i]) * time.Second, time.Duration(lives[i]) * time.Second, err
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := broker.New(ctx, broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": w}, Bytes: propertyBytes})
	newest := map[string]providers.Token{}
	for n, step := range steps {
		req := entry("", "eu-west-1", step[1])
		req.Tenant = []string{"", "a", "b", "c"}[step[3]]
		source := req.Source()
		check := func(token providers.Token) {
			switch {
			case !token.ExpiresAt.After(time.Now()):
				rt.Fatal("a token that has expired was handed out")
			case token.IssuedAt.Before(newest[source].IssuedAt):
				rt.Fatal("an older mint was handed out after a newer one")
			case !token.IssuedAt.After(b.RefusedIssuedAt(req)):
				rt.Fatal("a refused token was handed out")
			}
			newest[source] = token
		}
		switch step[0] {
		case 0:
			b.SetSources(ownerIn(fmt.Sprint("owner", step[3])), []string{source})
		case 1:
			b.SetSources(ownerIn(fmt.Sprint("owner", step[3])), nil)
		case 2:
			if held, ok := newest[source]; ok {
				b.Refuse(req, held.Logins[0], "registry.example")
			}
		case 3:
			if token, ok := b.InMemory(req); ok {
				check(token)
			}
		case 4:
			req.RefreshStamp = fmt.Sprint(n)
			fallthrough
		default:
			if token, err := b.Token(req, newest[source].IssuedAt, nil); err == nil {
				check(token)
			}
		}
		pass(time.Duration(step[2]) * time.Second / 4)
		synctest.Wait()
		if got := sizes(t, b)["regcred_broker_token_bytes"]; got > propertyBytes {
			rt.Fatalf("%v bytes in memory", got)
		}
	}
	pass(time.Minute) // every call has ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) > 0 {
		rt.Fatal(w.wrong[0])
	}
}
