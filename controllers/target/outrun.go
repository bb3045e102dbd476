package target

import (
	"fmt"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
)

const (
	// outrunFor is for how long it counts that a Secret was changed before it could be written.
	outrunFor = 10 * time.Minute
	// maxOutrun is how often in a row that says nothing: others write, and the cache is behind.
	maxOutrun = 5
)

// outrun is the outcome of a target whose Secret has changed since it was observed. The event of that change brings the target back, too; but
// somebody who changes the Secret faster than it can be written is not to keep the target from being heard of.
func (r *Reconciler) outrun(t credential.Target, c *credential.Credential, o observed) Outcome {
	r.absent.Delete(t)
	if r.outruns.Update(t, func(before int, _ bool) int { return before + 1 }) <= maxOutrun {
		return Outcome{CacheBehind: true}
	}
	return Outcome{
		Entries: recorded(c, t, o), Retained: retained(o.secret), rejected: true,
		Failure: &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: apiserver.CacheLag, Message: fmt.Sprintf(
			"Secret %s is changed by %s again and again before it can be written: stop that, or create the credential anew with another secretName",
			t.Secret(), rivalOf(o))},
	}
}
