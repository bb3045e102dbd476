package providers

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers/internal/registryhost"
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

// Tryer is a Provider whose tokens can be tried at their registry, after they were handed out.
type Tryer interface {
	// Try shows the login to the registry that it is for. An error says nothing of the login.
	Try(ctx context.Context, req Request, login Login, pull Pull) (Verdict, error)
}

// Pull names what a trial asks for: a manifest, as an image reference does.
type Pull struct {
	Host, Repository, Reference string
}

// Verdict is how a trial has ended.
type Verdict struct {
	Result Result
	// Answer is the registry's, in short and in no words of its own; empty if the pull is allowed.
	Answer string
	// Cure is how the provider's users allow a pull.
	Cure string
}

// Result is what a trial has found out.
type Result int

// The results of a trial.
const (
	// PullAllowed: the login may pull. Whether the image exists does not matter.
	PullAllowed Result = iota
	// PullDenied: the registry knows the login, and does not let it pull this repository.
	PullDenied
	// LoginRefused: the registry does not take the login for anything. It has expired, or was revoked.
	LoginRefused
)

// Try implements Tryer. What tells a bad login from one that may not pull is the protocol's own way of logging in: the words and even
// the status of a refusal differ between registries. ECR, for one, answers 403 and DENIED to an expired token.
func (v *Verifier) Try(ctx context.Context, req Request, login Login, pull Pull) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	host, err := registryhost.Parse(pull.Host)
	if err != nil {
		return Verdict{}, Errorf(v1alpha1.ReasonInvalidRequest, "the image's registry cannot be asked")
	}
	repository, err := name.NewRepository(host.String()+"/"+pull.Repository, name.WeakValidation)
	if err != nil {
		return Verdict{}, Errorf(v1alpha1.ReasonInvalidRequest, "the image is no repository of %s", host)
	}
	err = v.pull(ctx, login, repository, pull.Reference)
	switch {
	case err == nil:
		return Verdict{Result: PullAllowed}, nil
	case !isRefusal(err):
		return Verdict{}, Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token may pull", host)
	}
	provider, _ := req.Registry.Provider()
	verdict := Verdict{Result: PullDenied, Answer: answerOf(err), Cure: allow[provider]}
	err = v.ping(ctx, login, repository.Registry)
	switch {
	case isRefusal(err):
		verdict.Result = LoginRefused
	case err != nil:
		return Verdict{}, Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token is good", host)
	}
	return verdict, nil
}

// ping logs in for nothing in particular.
func (v *Verifier) ping(ctx context.Context, login Login, registry name.Registry) error {
	authorized, err := v.logIn(ctx, login, registry)
	if err != nil {
		return err
	}
	return manifest(ctx, authorized, http.MethodGet, "https://"+registry.RegistryStr()+"/v2/")
}

// trial is one that is under way or remembered.
type trial struct {
	done    bool
	endedAt time.Time
	since   time.Time
	verdict Verdict
	err     error
	waiting []func()
}

// Try shows a login that was published for req to a registry, and says what that made of it. It makes at most one trial of a login for a
// repository in a minute.
//
// If a trial is needed it is started, and Try returns a *PendingError; wake is then called once, when the trial has ended.
func (b *Broker) Try(req Request, login Login, pull Pull, wake func()) (Verdict, error) {
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
		return Verdict{}, &PendingError{Since: t.since}
	case b.trying >= trialsAtOnce || len(b.trials) >= trialsHeld:
		return Verdict{}, &Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: trialCrowded,
			Err: fmt.Errorf("too many trials are under way; it is tried again")}
	}
	t = &trial{since: now, waiting: []func(){wake}}
	b.trials[key] = t
	b.trying++
	go b.runTrial(t, req, login, pull, b.endpoint("registry/"+pull.Host))
	return Verdict{}, &PendingError{Since: now}
}

func (b *Broker) runTrial(t *trial, req Request, login Login, pull Pull, e *endpoint) {
	var verdict Verdict
	name, _ := req.Registry.Provider()
	_, err := e.do(b.base, b.clock.Now, func() (Token, error) {
		tryer, ok := b.providers[name].(Tryer)
		if !ok {
			return Token{}, Errorf(v1alpha1.ReasonInvalidRequest, "tokens of this provider cannot be tried")
		}
		var err error
		verdict, err = tryer.Try(b.base, req, login, pull)
		return Token{}, err
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
func trialKey(req Request, login Login, pull Pull) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q\n%q", req.Source(), pull, login.Username, login.Password.Reveal()))
}
