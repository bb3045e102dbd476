package broker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

const (
	// verdictFor is how long a verdict holds: the same login is tried once in that time for the same repository.
	verdictFor = time.Minute
	// maxVerdicts bounds the verdicts, and verdictsOfTenant those of one namespace: a user who names thousands of repositories costs no more
	// memory than these, and nobody else a trial.
	maxVerdicts      = 2048
	verdictsOfTenant = maxVerdicts / 4
	// trialsOfTenant and trialsAtOnce bound the trials of published tokens that are under way.
	trialsOfTenant = 8
	trialsAtOnce   = 512
	// trialCrowded is how long one that finds no room waits.
	trialCrowded = 5 * time.Second
	// proofsOfTenant bounds the trials of new tokens of one namespace, and proofTimeout how long each of them is waited for, its turn
	// included: a registry's trouble must not become that of the pods.
	proofsOfTenant = 32
	proofTimeout   = 30 * time.Second
)

// Trials is who shows logins to registries.
type Trials interface {
	// Pick chooses what a new token is tried with, as the entry asks.
	Pick(req providers.Request, token providers.Token) (providers.Login, providers.Pull, error)
	// Try shows the login to the registry that it is for. An error says nothing of the login.
	Try(ctx context.Context, login providers.Login, pull providers.Pull) (providers.Verdict, error)
}

type trialKey [sha256.Size]byte

// trial is one that is under way.
type trial struct {
	since   time.Time
	waiting waiters
}

// verdict is how a trial has ended that the tenant had made.
type verdict struct {
	providers.Verdict
	err    error
	tenant string
}

func newVerdicts(c clock.PassiveClock) *expiring.Map[trialKey, verdict] {
	return expiring.Shared(c, verdictFor, maxVerdicts, verdictsOfTenant, func(_ trialKey, v verdict) string { return v.tenant })
}

// Try shows a login that was published for req to a registry, and says what that made of it. It makes at most one trial of a login for a
// repository in a minute.
//
// If a trial is needed it is started, and Try returns a *PendingError; w is then woken once, when the trial has ended.
func (b *Broker) Try(req providers.Request, login providers.Login, pull providers.Pull, w providers.Waiter) (providers.Verdict, error) {
	if b.Trials == nil {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "tokens are not tried here")
	}
	key := trialKey(sha256.Sum256(fmt.Appendf(nil, "%s\n%q\n%q\n%q", req.Source(), pull, login.Username, login.Password.Reveal())))
	if known, ok := b.verdicts.Get(key); ok {
		return known.Verdict, known.err
	}
	now := b.Clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trials[key]
	switch {
	case t != nil:
		if !t.waiting.add(w) {
			return providers.Verdict{}, &providers.PendingError{Since: t.since, RetryAfter: waiterCrowded}
		}
		return providers.Verdict{}, &providers.PendingError{Since: t.since}
	case len(b.trials) >= trialsAtOnce || b.trying[req.Tenant] >= trialsOfTenant:
		return providers.Verdict{}, &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: trialCrowded,
			Err: fmt.Errorf("too many trials are under way; it is tried again")}
	}
	t = &trial{since: now}
	t.waiting.add(w)
	b.trials[key] = t
	b.trying[req.Tenant]++
	go b.try(key, req, login, pull)
	return providers.Verdict{}, &providers.PendingError{Since: now}
}

func (b *Broker) try(key trialKey, req providers.Request, login providers.Login, pull providers.Pull) {
	found, err := b.show(b.base, req, login, pull)
	b.mu.Lock()
	b.leaveTrial(req.Tenant)
	waiting := b.trials[key].waiting
	delete(b.trials, key)
	b.verdicts.Put(key, verdict{found, err, req.Tenant})
	b.mu.Unlock()
	waiting.wake()
}

// leaveTrial counts the end of a trial. The caller holds the lock.
func (b *Broker) leaveTrial(tenant string) {
	if b.trying[tenant]--; b.trying[tenant] == 0 {
		delete(b.trying, tenant)
	}
}

// show makes a trial when its turn at the registry has come.
func (b *Broker) show(ctx context.Context, req providers.Request, login providers.Login, pull providers.Pull) (found providers.Verdict, err error) {
	result := make(chan providers.Verdict, 1) // the trial may outlast our patience
	err = b.scheduler.do(ctx, "registry/"+pull.Host, asker{req.Tenant, req.Urgency}, func() error {
		found, err := b.Trials.Try(ctx, login, pull)
		result <- found
		return err
	})
	if err != nil {
		return providers.Verdict{}, asError(err)
	}
	found = <-result
	if found.Result == providers.PullDenied {
		found.Cure = b.cure(req)
	}
	return found, nil
}

// cure is how the users of the request's provider allow a pull.
func (b *Broker) cure(req providers.Request) string {
	name, _ := req.Registry.Provider()
	if p, ok := b.Providers[name].(providers.Curer); ok {
		return p.Cure()
	}
	return "let the identity read the repository"
}

// prove tries a new token before anybody gets it, if the entry asks for that. A token that the registry refuses is an error; one that could
// not be tried is not.
func (b *Broker) prove(req providers.Request, token providers.Token) (providers.Token, error) {
	if req.Registry.Verify == nil || b.Trials == nil {
		return token, nil
	}
	login, pull, err := b.Trials.Pick(req, token)
	if err != nil {
		return providers.Token{}, err
	}
	found, err := b.proof(req, login, pull)
	switch {
	case err != nil:
		token.Verified, token.Unproven = metav1.ConditionUnknown, err.Error()
		b.Metrics.tried(req, resultUnknown)
	case found.Result != providers.PullAllowed:
		b.Metrics.tried(req, resultRefused)
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonVerificationFailed, "the new token may not pull %s/%s (%s), so it is not published: %s",
			pull.Host, pull.Repository, found.Answer, b.cure(req))
	default:
		token.Verified = metav1.ConditionTrue
		b.Metrics.tried(req, resultProven)
	}
	return token, nil
}

// proof makes the trial, if the tenant has not too many under way, within our patience.
func (b *Broker) proof(req providers.Request, login providers.Login, pull providers.Pull) (providers.Verdict, error) {
	b.mu.Lock()
	if req.Tenant != "" && b.trying[req.Tenant] >= proofsOfTenant {
		b.mu.Unlock()
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonThrottled, "too many trials are under way")
	}
	b.trying[req.Tenant]++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.leaveTrial(req.Tenant)
	}()
	ctx, cancel := context.WithTimeout(b.base, proofTimeout)
	defer cancel()
	return b.show(ctx, req, login, pull)
}
