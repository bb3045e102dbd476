package pulls

import (
	"context"
	"errors"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// try asks the registry what it makes of the tokens in the pod's Secrets, in the kubelet's order, until one may pull, and has those that it
// refuses replaced.
func (r *Reconciler) try(ctx context.Context, p diagnosis.FailedPull, e evidence, holdings []*diagnosis.Holding) (diagnosis.Finding, next) {
	var tried []diagnosis.Finding
	for _, h := range holdings {
		f, n := r.tryOne(ctx, p, e, h)
		if f.Good || n != (next{}) {
			return f, n
		}
		tried = append(tried, f)
	}
	return diagnosis.NoneOf(tried), next{}
}

func (r *Reconciler) tryOne(ctx context.Context, p diagnosis.FailedPull, e evidence, h *diagnosis.Holding) (diagnosis.Finding, next) {
	published, cover := e.about(h), h.Covering
	record := published.Records[cover.Entry.Name]
	req, err := r.Published.Request(ctx, published.Credential, *cover.Entry)
	if err != nil {
		return e.undecided(h, err), next{}
	}
	if until := r.Trials.RefusedIssuedAt(req); !until.IsZero() && !record.IssuedAt.After(until) {
		// It was refused before, and the Secret waits for the next.
		return e.Judge(h, providers.Verdict{Result: providers.LoginRefused, Answer: "as before; " + h.Why("a new one is being minted"), Cure: r.Trials.Mend(req)}, r.remedy(req)), next{}
	}
	login, err := r.Published.Login(ctx, published, req, cover.Key, e.Image.Under)
	if err != nil {
		return e.undecided(h, err), next{}
	}
	pull := providers.Pull{Host: e.Image.Host, Repository: e.Image.Repository, Reference: e.Image.Reference}
	tried := req
	tried.Tenant = published.Target.Namespace // who causes the trials has them counted
	verdict, err := r.Trials.Try(tried, login, pull, waiter{r, p})
	if pending, ok := errors.AsType[*providers.PendingError](err); ok {
		return diagnosis.Finding{}, next{woken: pending.RetryAfter == 0, after: pending.RetryAfter}
	}
	if known, ok := errors.AsType[*providers.Error](err); ok && known.Reason == v1alpha1.ReasonThrottled && known.RetryAfter > 0 {
		return diagnosis.Finding{}, next{after: known.RetryAfter}
	}
	if err != nil {
		return e.undecided(h, err), next{}
	}
	remedy := diagnosis.Replaced
	if verdict.Result == providers.LoginRefused {
		remedy = r.replace(ctx, published, cover.Entry.Name, req, login, pull.Host)
		verdict.Cure = r.Trials.Mend(req)
	}
	return e.Judge(h, verdict, remedy), next{}
}

// waiter is a failure that waits for a trial.
type waiter struct {
	*Reconciler
	failure diagnosis.FailedPull
}

func (w waiter) Wake() { w.Reconciler.Wake(w.failure) }

// replace has a refused token replaced: everywhere if it is the one that was minted, for this host, or else, as others may have written it, in this Secret.
func (r *Reconciler) replace(ctx context.Context, p target.Publication, entry string, req providers.Request, login providers.Login, host string) diagnosis.Remedy {
	if !r.Trials.Refuse(req, login, host) {
		r.Published.Condemn(p, entry)
		return diagnosis.Restored
	}
	r.Published.WakeAll(ctx, p.Credential)
	return r.remedy(req)
}

// remedy is what happens to a token that is refused wherever it is.
func (r *Reconciler) remedy(req providers.Request) diagnosis.Remedy {
	if r.Trials.Mend(req) != "" {
		return diagnosis.Repeated
	}
	return diagnosis.Replaced
}

func (e evidence) undecided(h *diagnosis.Holding, err error) diagnosis.Finding {
	return e.Undecided(h, credential.FailureOf(err).Message)
}
