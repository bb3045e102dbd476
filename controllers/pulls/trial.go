package pulls

import (
	"context"
	"errors"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/providers"
)

// try asks the registry what it makes of the token in the Secret, and has one that it refuses replaced.
func (r *Reconciler) try(ctx context.Context, p diagnosis.FailedPull, e evidence, f diagnosis.Finding) (diagnosis.Finding, next) {
	published, cover := e.about(f), f.About.Covering
	record := published.Records[cover.Entry.Name]
	req, err := r.Published.Request(ctx, published.Credential, *cover.Entry)
	if err != nil {
		return e.undecided(f, err), next{}
	}
	if req.RefusedAt != "" && req.RefusedAt != record.RefusedAt {
		// It was refused before, and the Secret waits for the next.
		return e.Judge(f, providers.Verdict{Result: providers.LoginRefused, Answer: "as before; " + f.About.Why("a new one is being minted")}), next{}
	}
	login, err := r.Published.Login(ctx, published, req, cover.Key, e.Image.Under)
	if err != nil {
		return e.undecided(f, err), next{}
	}
	pull := providers.Pull{Host: e.Image.Host, Repository: e.Image.Repository, Reference: e.Image.Reference}
	verdict, err := r.Trials.Try(req, login, pull, func() { r.Wake(p) })
	if _, pending := errors.AsType[*providers.PendingError](err); pending {
		return f, next{woken: true}
	}
	if known, ok := errors.AsType[*providers.Error](err); ok && known.Reason == v1alpha1.ReasonThrottled && known.RetryAfter > 0 {
		return f, next{after: known.RetryAfter}
	}
	if err != nil {
		return e.undecided(f, err), next{}
	}
	if verdict.Result == providers.LoginRefused && r.failing.refresh(published.Credential.Key, r.Clock.Now()) && r.Trials.Refuse(req, record.ExpiresAt) {
		r.Published.WakeAll(ctx, published.Credential)
	}
	return e.Judge(f, verdict), next{}
}

func (e evidence) undecided(f diagnosis.Finding, err error) diagnosis.Finding {
	return e.Undecided(f, credential.FailureOf(err).Message)
}
