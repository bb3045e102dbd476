package link

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
)

// outage is a ServiceAccount that is left alone for a while.
type outage struct {
	failure *credential.Failure
	times   int
	until   time.Time
}

// contended says why a repair has to wait.
func contended(t credential.Target, account client.ObjectKey, rival string, wait time.Duration) *credential.Failure {
	return &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: wait, Message: fmt.Sprintf(
		"the link of ServiceAccount %s to Secret %s is changed by %s again and again, and is put right ever more rarely: stop that, or label the ServiceAccount %s=%s",
		account, t.Name, rival, v1alpha1.LabelLink, v1alpha1.LabelLinkNever)}
}

// crowdBears says whether one more ServiceAccount of a crowded namespace may be changed now.
func (l *Linker) crowdBears(namespace string) bool {
	return l.crowds.Update(namespace, func(known *rate.Limiter, ok bool) *rate.Limiter {
		if ok {
			return known
		}
		return rate.NewLimiter(rate.Every(crowdPeriod/crowdAtOnce), crowdAtOnce)
	}).AllowN(l.clock.Now(), 1)
}

func crowdedOut(namespace string) *credential.Failure {
	return &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: crowdWait, Message: fmt.Sprintf(
		"%d ServiceAccounts of namespace %s have been changed lately, and the rest follow by and by: if somebody else changes their imagePullSecrets again and again, stop that",
		crowdAtOnce, namespace)}
}

// refused says what an error means: a failure, or that nothing can be said now.
func (l *Linker) refused(ctx context.Context, account client.ObjectKey, err error) (*credential.Failure, error) {
	what := "ServiceAccount " + account.String()
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsConflict(err), apiserver.IsTerminating(err), ctx.Err() != nil:
		return nil, err
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		if by := apiserver.RefusedBy(err); by != "" {
			return failed(by + " refuses to let " + what + " be linked: let it pass there"), nil
		}
		return failed("the API server refuses to change " + what + ": check the controller's RBAC rules and the admission policies of the namespace"), nil
	default:
		return l.unanswered(account, failed(credential.Unanswered("changing "+what, err).Message)), nil
	}
}

// unanswered notes that a ServiceAccount could not be changed, and is to be left alone for a while.
func (l *Linker) unanswered(account client.ObjectKey, f *credential.Failure) *credential.Failure {
	l.outages.Update(account, func(o outage, _ bool) outage {
		wait := min(firstOutage<<min(o.times, 10), credential.RetryAfter)
		return outage{failure: f, times: o.times + 1, until: l.clock.Now().Add(wait)}
	})
	now := *f
	now.RetryAfter = soon
	return &now
}

func failed(message string) *credential.Failure {
	return &credential.Failure{Reason: v1alpha1.ReasonLinkFailed, RetryAfter: credential.RetryAfter, Message: message}
}
