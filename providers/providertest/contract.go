// Package providertest is the contract that every provider keeps, run against an emulated cloud over the wire.
package providertest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Fault is a way for a cloud to fail, which every emulator has.
type Fault string

// The faults of the contract.
const (
	Throttled   Fault = "throttled"
	ServerError Fault = "server error"
	Closed      Fault = "connection closed"
	Hung        Fault = "hung"
	Denied      Fault = "denied"
)

// Contract is what the suite needs to know of a provider and its emulator.
type Contract struct {
	// New returns the provider, pointed at a healthy emulator that is the test's own.
	New func(t *testing.T) (providers.Provider, Cloud)
	// Request is one that the healthy emulator grants.
	Request providers.Request
	// AsServiceAccount is one that the healthy emulator grants to a ServiceAccount, if Request is none.
	AsServiceAccount providers.Request
	// Host is the host that the call of Request goes to.
	Host string
	// Audience is that of the provider's destination, for those whose cloud has none of its own.
	Audience string
	// OwnQuota is whether the cloud counts the calls of each caller apart, so that one too many concerns no other.
	OwnQuota bool
	// Pages are those of docs/providers that explain the provider's errors.
	Pages []string
	// Canary starts every secret of the emulator.
	Canary string
	// Offline is whether the provider asks nobody. Then no cloud can fail it, and the suite only pulls.
	Offline bool
	// Opaque is set for a provider with somebody else's program in between, which passes on neither why the cloud has refused nor when
	// a token ends: every failure is Unavailable, and a token lives, by the program's own clock, for a time that the program vouches for.
	Opaque bool
}

// Cloud steers an emulator.
type Cloud interface {
	// Break makes the cloud fail, with retryAfter where the fault can carry it.
	Break(fault Fault, retryAfter time.Duration)
	// SetTokenLife decides on the life of the tokens issued from now on.
	SetTokenLife(time.Duration)
	// SetClockOffset sets how far the cloud's clock is ahead.
	SetClockOffset(time.Duration)
	// Pull pulls an image that the request's identity may pull, from host, with the content of a Secret.
	Pull(ctx context.Context, host string, dockerConfigJSON []byte) error
	// Calls counts the calls that mint a token.
	Calls() int
}

// patience bounds a call in the suite, so that a provider that ignores its context fails instead of hanging the suite.
const patience = 20 * time.Second

// Run runs the contract.
func (c Contract) Run(t *testing.T) {
	t.Helper()
	t.Run("a token pulls from every host it names", c.pulls)
	t.Run("it says where it calls, and how a pull is allowed", c.said)
	t.Run("a failure of Kubernetes stays one", c.kubernetesFails)
	t.Run("foreign annotations change nothing", c.annotations)
	t.Run("an audience belongs to its destination", c.audiences)
	if c.Offline {
		return
	}
	t.Run("the expiry is the token's own", c.expiry)
	if !c.Opaque {
		t.Run("a wrong clock does not shorten the life of a token", c.clockOffset)
	}
	t.Run("nothing is remembered", c.remembersNothing)
	for _, f := range []struct {
		fault  Fault
		reason string
	}{
		{Throttled, v1alpha1.ReasonThrottled},
		{ServerError, v1alpha1.ReasonUnavailable},
		{Closed, v1alpha1.ReasonUnavailable},
		{Denied, v1alpha1.ReasonAccessDenied},
	} {
		t.Run("a cloud that is "+string(f.fault)+" is explained", func(t *testing.T) { c.fails(t, f.fault, f.reason) })
	}
	t.Run("a hung cloud is left when the context ends", c.hung)
}

func (c Contract) pulls(t *testing.T) {
	p, cloud := c.New(t)
	token := c.token(t, p)
	if len(token.Hosts()) == 0 {
		t.Fatal("the token names no host")
	}
	lister, ok := p.(providers.HostLister)
	if !ok {
		t.Fatal("the provider does not say which hosts an entry names")
	}
	if named := lister.Hosts(&c.Request.Registry); len(named) > 0 && !slices.Equal(slices.Sorted(slices.Values(named)), slices.Sorted(slices.Values(token.Hosts()))) {
		t.Errorf("the entry is said to be for %v, and its token is for %v", named, token.Hosts())
	}
	for _, host := range token.Hosts() {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || u.User != nil {
			t.Errorf("%q is not a bare host", host)
		}
		if err := cloud.Pull(t.Context(), host, dockerConfig(t, host, token)); err != nil {
			t.Errorf("pulling from %s: %v", host, err)
		}
	}
}

func (c Contract) expiry(t *testing.T) {
	p, cloud := c.New(t)
	for _, life := range []time.Duration{5 * time.Minute, 3 * time.Hour} {
		cloud.SetTokenLife(life)
		before := time.Now()
		token := c.token(t, p)
		shortest := life - time.Minute
		if c.Opaque {
			shortest = life/2 - time.Minute // half of it is what the kubelet's own plugin vouches for
		}
		if got := token.ExpiresAt.Sub(before); got < shortest || got > life+time.Minute {
			t.Errorf("a token that lives for %s is said to live for %s", life, got)
		}
	}
}

func (c Contract) clockOffset(t *testing.T) {
	for _, offset := range []time.Duration{20 * time.Minute, -20 * time.Minute} {
		p, cloud := c.New(t)
		cloud.SetTokenLife(time.Hour)
		cloud.SetClockOffset(offset)
		before := time.Now()
		token := c.token(t, p)
		if got := token.ExpiresAt.Sub(before); got < 58*time.Minute || got > 62*time.Minute {
			t.Errorf("with the cloud's clock %s ahead, a token of 1h is said to live for %s", offset, got)
		}
	}
}

func (c Contract) remembersNothing(t *testing.T) {
	p, cloud := c.New(t)
	first, second := c.token(t, p), c.token(t, p)
	if first.Logins[0].Password == second.Logins[0].Password || cloud.Calls() != 2 {
		t.Errorf("two requests made %d calls; remembering is the Broker's part", cloud.Calls())
	}
}

func (c Contract) fails(t *testing.T, fault Fault, reason string) {
	t.Helper()
	p, cloud := c.New(t)
	cloud.Break(fault, 7*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := p.Token(ctx, c.Request)
	var failure *providers.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %T, want *providers.Error", err)
	}
	if c.Opaque {
		reason = v1alpha1.ReasonUnavailable
	}
	if failure.Reason != reason {
		t.Errorf("got reason %s, want %s", failure.Reason, reason)
	}
	if want := c.scope(fault); failure.Scope != want {
		t.Errorf("it is %s fault, want %s", nameOf(failure.Scope), nameOf(want))
	}
	if failure.Terminal {
		t.Error("an error that time or an administrator can mend is terminal")
	}
	if fault == Throttled && !c.Opaque && failure.RetryAfter != 7*time.Second {
		t.Errorf("Retry-After of 7s was read as %s", failure.RetryAfter)
	}
	Documented(t, err, c.Pages...)
	if calls := cloud.Calls(); fault != Denied && calls > 1 {
		t.Errorf("%d calls were made; repetition is the Broker's part", calls)
	}
	c.checkText(t, err)
}

func (c Contract) hung(t *testing.T) {
	p, cloud := c.New(t)
	cloud.Break(Hung, 0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Token(ctx, c.Request)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a hung cloud gave a token")
		}
		c.checkText(t, err)
	case <-time.After(patience):
		t.Error("the provider went on after its context had ended")
	}
}

// checkText proves that an error can be shown: no secret, in whatever encoding, no response body, no query.
func (c Contract) checkText(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for name, form := range map[string]string{
		"a secret":             c.Canary,
		"a secret in base64":   strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c.Canary)), "=")[:len(c.Canary)],
		"a secret, escaped":    url.QueryEscape(c.Canary),
		"a response body":      "<Error",
		"a request id":         "RequestId",
		"a URL with its query": "?",
	} {
		if strings.Contains(text, form) {
			t.Errorf("the error shows %s", name)
		}
	}
	if len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\n\t") {
		t.Errorf("the error is not one readable sentence: %d bytes", len(err.Error()))
	}
}

func (c Contract) token(t *testing.T, p providers.Provider) providers.Token {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	token, err := p.Token(ctx, c.Request)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
