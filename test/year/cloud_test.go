package year

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// habits are what the tokens of one cloud are like, and what it keeps to itself.
type habits struct {
	region string
	// said is how long its tokens live by its own word, and lives how long they do.
	said, lives time.Duration
	// repeats is how long it hands out the same token, and told whether it says so.
	repeats time.Duration
	told    bool
	// share is how many of a thousand entries are of it.
	share int
}

// clouds are those of the world. What they lie about leaves time enough to renew a token: nobody can do anything about a token that has died
// before anybody asks for the next.
var clouds = []habits{
	{region: "honest", said: 12 * time.Hour, lives: 12 * time.Hour, share: 500},
	{region: "boastful", said: 12 * time.Hour, lives: 9 * time.Hour, share: 350},
	{region: "brisk", said: 3 * time.Hour, lives: 150 * time.Minute, share: 90},
	{region: "repeating", said: 8 * time.Hour, lives: 8 * time.Hour, repeats: 5 * time.Hour, told: true, share: 20},
	{region: "stubborn", said: 2 * time.Hour, lives: 2 * time.Hour, repeats: 75 * time.Minute, share: 20},
	{region: "hourly", said: time.Hour, lives: 50 * time.Minute, share: 15},
	{region: "hasty", said: 20 * time.Minute, lives: 20 * time.Minute, share: 5},
}

// pause is the longest time between two tries for such a token.
func (h habits) pause() time.Duration { return min(2*time.Minute, h.said/8) }

// slack is what it may take to have a token after an outage has ended: a call that still hangs, the pause after it, and a slow one at last.
func (h habits) slack() time.Duration { return 2*h.pause() + 90*time.Second }

// firstTry is when a token is asked for again at the latest: at half of its life, or when the cloud has another.
func (h habits) firstTry() time.Duration {
	switch half := h.said / 2; {
	case h.repeats <= half:
		return half
	case h.told:
		return h.repeats + (h.said-h.repeats)/10
	default:
		return h.repeats + h.pause()
	}
}

// longestOutage is what a token outlives if it is renewed as it should be.
func (h habits) longestOutage() time.Duration { return h.lives - h.firstTry() - h.slack() }

// trouble is what an outage is like.
type trouble int

const (
	calm trouble = iota
	down
	hanging
	throttling
	denying
	babbling
	troubles
)

// outage is one of a cloud.
type outage struct {
	from, to time.Time
	kind     trouble
}

// after is the outage that follows another, within so many lives of a token. Between two there is time to renew what was due.
func (h habits) after(to time.Time, within int, chance *rand.Rand) outage {
	from := to.Add(h.slack() + part(chance, time.Duration(within)*h.said))
	return outage{from, from.Add(time.Second + part(chance, h.longestOutage())), 1 + trouble(chance.IntN(int(troubles)-1))}
}

// cloud mints tokens in all regions, except while it does not.
type cloud struct {
	seed uint64
	// within is within how many lives of a token an outage follows another.
	within int

	mu      sync.Mutex
	places  map[string]*place
	sources map[string]*account
	wrong   []string
}

// place is one region.
type place struct {
	habits
	chance *rand.Rand
	now    outage
	// troubled is how many calls the outages that are over excuse.
	troubled int
}

// account is what a cloud knows of one source.
type account struct {
	at                      *place
	underway, calls, serial int
	mintedAt                time.Time
	// repeated counts the answers that held no new token, and failed whether the last one was an error.
	repeated int
	failed   bool
}

// newCloud has no trouble in its first hour.
func newCloud(seed uint64, within int) *cloud {
	c := &cloud{seed: seed, within: within, places: map[string]*place{}, sources: map[string]*account{}}
	for n, h := range clouds {
		p := &place{habits: h, chance: rand.New(rand.NewPCG(seed, uint64(n)))}
		p.now = h.after(time.Now().Add(time.Hour), within, p.chance)
		c.places[h.region] = p
	}
	return c
}

// chance is the same for the same call in each run of a seed.
func (c *cloud) chance(source string, call int) *rand.Rand {
	part, _ := strconv.ParseUint(source[:16], 16, 64) // a source is a hash
	return rand.New(rand.NewPCG(c.seed^part, uint64(call)))
}

// weather is what trouble there is in a place. It is asked for in the order of time.
func (c *cloud) weather(p *place, now time.Time) trouble {
	for !now.Before(p.now.to) {
		p.troubled = p.excused(p.now.to)
		p.now = p.after(p.now.to, c.within, p.chance)
	}
	if now.Before(p.now.from) {
		return calm
	}
	return p.now.kind
}

// excused is how many calls the outages until now excuse, of which one may go on.
func (p *place) excused(now time.Time) int {
	if !now.After(p.now.from) {
		return p.troubled
	}
	return p.troubled + 10 + 4*int(now.Sub(p.now.from)/p.pause())
}

// Token implements providers.Provider.
func (c *cloud) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	source := req.Source()
	a, chance, latency := c.begin(source, req.Registry.ECR.Region)
	defer c.end(a)
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return providers.Token{}, ctx.Err()
	}
	return c.answer(a, source, req.Registry.ECR.ExternalID, chance)
}

func (c *cloud) begin(source, region string) (a *account, chance *rand.Rand, latency time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a = c.sources[source]
	if a == nil {
		a = &account{at: c.places[region]}
		c.sources[source] = a
	}
	a.calls++
	if a.underway++; a.underway > 1 {
		c.wrong = append(c.wrong, "two calls are under way for one source")
	}
	chance = c.chance(source, a.calls)
	latency = time.Millisecond + part(chance, 400*time.Millisecond)
	switch {
	case c.weather(a.at, time.Now()) == hanging:
		latency = time.Hour // longer than anybody waits
	case chance.IntN(50) == 0:
		latency = part(chance, 25*time.Second) + time.Second
	}
	return a, chance, latency
}

func (c *cloud) end(a *account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.underway--
}

func (c *cloud) answer(a *account, source, customer string, chance *rand.Rand) (providers.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	kind := c.weather(a.at, now)
	if recovered := a.at.now.from.Sub(now) > a.at.slack(); kind == calm && recovered && !a.failed && chance.IntN(30) == 0 {
		kind = 1 + trouble(chance.IntN(int(troubles)-1)) // one call alone, as happens on any day
	}
	a.failed = kind != calm
	switch kind {
	case down, hanging:
		return providers.Token{}, &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, Err: errors.New("down")}
	case throttling:
		return providers.Token{}, &providers.Error{Reason: v1alpha1.ReasonThrottled, Scope: providers.ScopeEndpoint, RetryAfter: part(chance, a.at.pause()), Err: errors.New("slowly")}
	case denying:
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonAccessDenied, "no")
	case babbling: // no password, and an end that has passed
		return providers.Token{Logins: []providers.Login{{Username: "u", Hosts: []string{hostOf(a.at.region, customer)}}}, ExpiresAt: now.Add(-time.Hour)}, nil
	}
	if repeated := a.serial > 0 && now.Sub(a.mintedAt) < a.at.repeats; repeated {
		a.repeated++
	} else {
		a.serial++
		a.mintedAt = now
	}
	token := providers.Token{
		Logins:    []providers.Login{{Username: "u", Password: a.password(source), Hosts: []string{hostOf(a.at.region, customer)}}},
		ExpiresAt: a.mintedAt.Add(a.at.said),
	}
	if a.at.told {
		token.RenewableAt = a.mintedAt.Add(a.at.repeats)
	}
	return token, nil
}

func hostOf(region, customer string) string { return customer + "." + region + ".example" }

// password says what the token is: the source, the serial number and when it really dies.
func (a *account) password(source string) providers.Sensitive {
	return providers.Sensitive(fmt.Sprintf("%s/%d/%d", source, a.serial, a.mintedAt.Add(a.at.lives).UnixNano()))
}

// mint is what a password says.
type mint struct {
	source string
	serial int
	dies   time.Time
}

func mintOf(password string) mint {
	source, rest, _ := strings.Cut(password, "/")
	serial, dies, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(serial)
	nanos, _ := strconv.ParseInt(dies, 10, 64)
	return mint{source, n, time.Unix(0, nanos)}
}

// issued says whether it is a token of this cloud.
func (c *cloud) issued(m mint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.sources[m.source]
	return a != nil && 0 < m.serial && m.serial <= a.serial
}

// excess says which sources had more calls than their tokens and the outages make necessary.
func (c *cloud) excess(lived time.Duration, restarts int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var wrong []string
	for source, a := range c.sources {
		c.weather(a.at, time.Now())
		cycle := max(a.at.said*2/5, a.at.repeats) // half of the life, less the jitter
		mints := int(lived/cycle) + 2 + restarts
		if a.serial > mints {
			wrong = append(wrong, fmt.Sprintf("%s in %s: %d tokens, at most %d are needed", source, a.at.region, a.serial, mints))
		}
		again := 0
		if a.at.repeats > 0 && !a.at.told {
			again = mints * (8 + 4*int((a.at.repeats-a.at.said*2/5)/a.at.pause()))
		}
		if most := mints + mints/5 + 10 + again + a.at.excused(time.Now()) + 2*restarts; a.calls > most {
			wrong = append(wrong, fmt.Sprintf("%s in %s: %d calls, at most %d can be explained", source, a.at.region, a.calls, most))
		}
	}
	return append(wrong, c.wrong...)
}

func (c *cloud) total() (calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.sources {
		calls += a.calls
	}
	return calls
}

// part is a part of a time, and never nothing.
func part(chance *rand.Rand, of time.Duration) time.Duration {
	return 1 + time.Duration(chance.Int64N(int64(of)))
}
