package target

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

const (
	// longestOverride is how far ahead an override may end: a login by hand is for the hours in which a cloud or an identity is down.
	longestOverride = 7 * 24 * time.Hour
	// changeover is how long before the end of an override the provider is asked, so that its token is there by then.
	changeover = time.Minute
)

var (
	errTooLong = errors.New("override.until is more than 7 days ahead: choose a time at which the provider's token is back")
	errNoHosts = errors.New("an override is for the hosts of its entry, and this entry leaves them to its token, of which there was none yet: " +
		"name them in the entry, such as by ecr.region with ecr.accounts")
)

// byHand is what the login by hand of an entry is made from, while its override lasts; nil when there is none. An error is why one that
// should take effect cannot.
func (r *Reconciler) byHand(ctx context.Context, c *credential.Credential, spec *v1alpha1.Registry, e *EntryState) (*providers.Request, error) {
	override, now := spec.Override, r.Clock.Now()
	if override == nil || !now.Before(override.Until.Time) {
		return nil, nil //nolint:nilnil // there is none
	}
	if override.Until.Sub(now) > longestOverride {
		return nil, overrideInvalid(errTooLong)
	}
	hosts := r.Tokens.Hosts(spec)
	if len(hosts) == 0 {
		hosts = e.Record.Hosts
	}
	if len(hosts) == 0 {
		return nil, overrideInvalid(errNoHosts)
	}
	by := &v1alpha1.Registry{Name: spec.Name, Static: &v1alpha1.Static{}, Identity: &v1alpha1.Identity{SecretRef: &override.SecretRef}}
	for _, host := range hosts {
		by.Static.Hosts = append(by.Static.Hosts, v1alpha1.Host(host))
	}
	req, err := r.resolve(ctx, c, by)
	e.recheckIn = sooner(e.recheckIn, r.recheckIn(c, by))
	if err != nil {
		return nil, err
	}
	req.Until = override.Until.UTC()
	req = req.Sealed()
	return &req, nil
}

func overrideInvalid(err error) error {
	return &providers.Error{Reason: v1alpha1.ReasonOverrideInvalid, Terminal: true, RetryAfter: credential.RetryAfter, Err: err}
}

// publishByHand has the login by hand take the place of the provider's token. If it cannot be had, the entry is as it was, and the failure
// is why.
func (r *Reconciler) publishByHand(t credential.Target, e *EntryState, hand providers.Request, o observed) *credential.Failure {
	r.ask(t, e, hand)
	if e.Failure == nil || e.Known && e.Record.Source == hand.Source() {
		return nil
	}
	failure := overrideFailure(e.Failure)
	e.Failure, e.Cause, e.req = nil, "", nil
	e.reset(o)
	return failure
}

// askAhead asks the provider shortly before the override ends: its token takes the place of the login at once then.
func (r *Reconciler) askAhead(e *EntryState, req providers.Request) {
	if left := req.Registry.Override.Until.Sub(r.Clock.Now()); left > changeover {
		e.recheckIn = sooner(e.recheckIn, left-changeover)
		return
	}
	// Its failure is told when it matters.
	_, _ = r.Tokens.Token(req, time.Time{}, nil)
}

// overrideFailure is why an override cannot take effect, in the words of an identity's failure.
func overrideFailure(f *credential.Failure) *credential.Failure {
	if f.Reason == v1alpha1.ReasonOverrideInvalid {
		return f
	}
	return &credential.Failure{Reason: v1alpha1.ReasonOverrideInvalid, Message: "override.secretRef: " + f.Message, RetryAfter: f.RetryAfter}
}

// bothFailures tells first why a login by hand is not published, to whoever has just asked for that because of the other.
func bothFailures(override, provider *credential.Failure) *credential.Failure {
	if override == nil || provider == nil {
		return cmp.Or(override, provider)
	}
	return &credential.Failure{
		Reason: override.Reason, Message: override.Message + "; the provider: " + provider.Message,
		Terminal: override.Terminal && provider.Terminal, RetryAfter: provider.RetryAfter,
	}
}
