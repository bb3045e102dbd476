package why

import (
	"context"
	"fmt"
	"slices"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/providers"
)

// ask asks the registry about each login in turn, as the kubelet does, until one may pull.
func (w *walk) ask(ctx context.Context) error {
	if w.prober == nil || w.fatal != nil || len(w.logins) == 0 {
		return nil
	}
	var last providers.Verdict
	var tried []diagnosis.Finding
	for _, l := range w.logins {
		h := w.holdingOf(l)
		verdict, err := w.prober.Try(ctx, providers.Login{Username: l.Username, Password: l.Password, Hosts: []string{w.image.Host}}, w.image)
		if err != nil {
			w.pull.Chain.Add("registry", check.Unknown, "%s", err)
			continue
		}
		f, err := w.finding(ctx, l, verdict)
		if err != nil {
			return err
		}
		if h != nil {
			f = w.evidence.Judge(h, verdict, diagnosis.Replaced)
		}
		last, tried = verdict, append(tried, f)
		w.pull.Chain.Add("registry", registryStates[verdict.Result], "%s in %s: %s", l.Key, l.Secret, answers[verdict.Result])
		if verdict.Result == providers.PullAllowed {
			tried = []diagnosis.Finding{f}
			break
		}
	}
	if len(tried) > 0 {
		w.pull.end(resultOf(last), tried[0].Cause, "%s", tried[0].Note)
	}
	return nil
}

var registryStates = map[providers.Result]check.State{providers.PullAllowed: check.Good, providers.PullDenied: check.Bad, providers.LoginRefused: check.Bad}

var answers = map[providers.Result]string{
	providers.PullAllowed: "may pull", providers.PullDenied: "is a good login and may not pull this repository", providers.LoginRefused: "is refused",
}

// holdingOf is the holding that a login comes from; nil if no credential keeps it.
func (w *walk) holdingOf(l dockerconfig.Placed) *diagnosis.Holding {
	at := slices.IndexFunc(w.tries, func(h *diagnosis.Holding) bool { return h.Secret == l.Secret })
	if at < 0 {
		return nil
	}
	return w.tries[at]
}

// finding is what a verdict means for a login that no failed pull has told the controller of.
func (w *walk) finding(ctx context.Context, l dockerconfig.Placed, verdict providers.Verdict) (diagnosis.Finding, error) {
	cure := "renew it"
	serving, err := w.serving(ctx, w.s.namespace)
	for _, c := range serving {
		if c.Spec.NameOfSecret(c.GetName()) == l.Secret {
			cure = "kubectl regcred refresh " + c.Ref().Long() + " gets a new one"
		}
	}
	switch verdict.Result {
	case providers.PullDenied:
		return diagnosis.Finding{Cause: v1alpha1.CausePullDenied, Note: fmt.Sprintf(
			"registry %s takes the login in Secret %s and does not let it pull %s (%s): allow it, or correct the image", w.image.Host, l.Secret, w.image, verdict.Answer)}, err
	case providers.LoginRefused:
		return diagnosis.Finding{Cause: v1alpha1.CauseTokenRefused, Note: fmt.Sprintf(
			"registry %s refuses the login in Secret %s (%s): %s", w.image.Host, l.Secret, verdict.Answer, cure)}, err
	default:
		return diagnosis.Finding{Cause: v1alpha1.CausePullAllowed, Note: fmt.Sprintf(
			"the login in Secret %s may pull %s: the kubelet tries again by itself", l.Secret, w.image)}, err
	}
}

func resultOf(verdict providers.Verdict) Result {
	if verdict.Result == providers.PullAllowed {
		return Works
	}
	return Fails
}
