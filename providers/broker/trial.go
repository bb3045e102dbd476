package broker

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	// trialMemory is how long a verdict holds: the same login is tried once in that time for the same repository.
	trialMemory = time.Minute
	// trialsAtOnce bounds the trials that are under way, and trialsHeld the verdicts that are remembered: a user who names
	// thousands of repositories costs no more memory than these.
	trialsAtOnce = 32
	trialsHeld   = 2048
	// trialCrowded is how long one that finds no room waits.
	trialCrowded = 5 * time.Second
)

// trial is one that is under way or remembered.
type trial struct {
	done    bool
	endedAt time.Time
	since   time.Time
	verdict providers.Verdict
	err     error
	waiting []func()
}

// Try shows a login that was published for req to a registry, and says what that made of it. It makes at most one trial of a login for a
// repository in a minute.
//
// If a trial is needed it is started, and Try returns a *PendingError; wake is then called once, when the trial has ended.
func (b *Broker) Try(req providers.Request, login providers.Login, pull providers.Pull, wake func()) (providers.Verdict, error) {
	now := b.clock.Now()
	key := trialKey(req, login, pull)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweepTrials(now)
	t := b.trials[key]
	switch {
	case t != nil && t.done:
		return t.verdict, t.err
	case t != nil:
		t.waiting = append(t.waiting, wake)
		return providers.Verdict{}, &providers.PendingError{Since: t.since}
	case b.trying >= trialsAtOnce || len(b.trials) >= trialsHeld:
		return providers.Verdict{}, &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: trialCrowded,
			Err: fmt.Errorf("too many trials are under way; it is tried again")}
	}
	t = &trial{since: now, waiting: []func(){wake}}
	b.trials[key] = t
	b.trying++
	go b.runTrial(t, req, login, pull, b.endpoint("registry/"+pull.Host))
	return providers.Verdict{}, &providers.PendingError{Since: now}
}

func (b *Broker) runTrial(t *trial, req providers.Request, login providers.Login, pull providers.Pull, e *endpoint) {
	var verdict providers.Verdict
	name, _ := req.Registry.Provider()
	_, err := e.do(b.base, b.clock.Now, func() (providers.Token, error) {
		tryer, ok := b.providers[name].(providers.Tryer)
		if !ok {
			return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "tokens of this provider cannot be tried")
		}
		var err error
		verdict, err = tryer.Try(b.base, req, login, pull)
		return providers.Token{}, err
	})

	b.mu.Lock()
	b.trying--
	t.done, t.endedAt, t.verdict = true, b.clock.Now(), verdict
	if err != nil {
		t.err = asError(err)
	}
	waiting := t.waiting
	t.waiting = nil
	b.mu.Unlock()
	for _, wake := range waiting {
		wake()
	}
}

// sweepTrials forgets verdicts that hold no longer. The caller holds the lock.
func (b *Broker) sweepTrials(now time.Time) {
	for key, t := range b.trials {
		if t.done && now.Sub(t.endedAt) >= trialMemory {
			delete(b.trials, key)
		}
	}
}

// trialKey tells trials apart. It holds no secret.
func trialKey(req providers.Request, login providers.Login, pull providers.Pull) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q\n%q", req.Source(), pull, login.Username, login.Password.Reveal()))
}
