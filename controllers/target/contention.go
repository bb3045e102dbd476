package target

import (
	"fmt"
	"strconv"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

const (
	// repairsPerMinute is how often a target is repaired in a minute, however often somebody else changes it.
	repairsPerMinute = 6
	// firstTruce doubles with each repair beyond that, up to lastTruce.
	firstTruce, lastTruce = 10 * time.Second, 5 * time.Minute
	// peace is after how long without a repair a fight is forgotten.
	peace = 10 * time.Minute
	// targetsAtOnce bounds the targets of which something is remembered.
	targetsAtOnce = 1 << 16
)

// fight is how often a target was repaired lately.
type fight struct {
	since   time.Time
	repairs int
	truces  int
	until   time.Time
}

// next is the fight after one more repair.
func (f fight) next(now time.Time) fight {
	if now.Sub(f.since) >= time.Minute && !now.Before(f.until) && f.repairs <= repairsPerMinute {
		f = fight{since: now}
	}
	f.repairs++
	if f.repairs > repairsPerMinute {
		f.until = now.Add(min(firstTruce<<min(f.truces, 10), lastTruce))
		f.truces++
	}
	return f
}

// repairs are the causes that somebody else brings about.
func (c Cause) repairs() bool {
	return c == CauseDeleted || c == CauseEdited || c == CauseRelabelled || c == CauseOwnerChanged || c == CauseTemplate
}

// contended says why a repair has to wait; nil if it has not.
func (r *Reconciler) contended(t credential.Target, why Cause, o observed) *credential.Failure {
	f, fighting := r.fights.Get(t)
	wait := f.until.Sub(r.Clock.Now())
	if !why.repairs() || !fighting || wait <= 0 {
		return nil
	}
	return &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: wait, Message: fmt.Sprintf(
		"Secret %s is changed by %s again and again, and is restored ever more rarely: stop that, or give the Secret another name by secretName",
		t.Secret(), rivalOf(o))}
}

// rivalOf names the field manager that has changed the Secret, as far as that is known. It is a text of others.
func rivalOf(o observed) string {
	if o.secret == nil {
		return "somebody who deletes it"
	}
	for _, entry := range o.secret.ManagedFields {
		if name := entry.Manager; name != pullsecret.FieldManager && name != "" {
			return "the field manager " + strconv.QuoteToASCII(name[:min(len(name), 64)])
		}
	}
	return "somebody else"
}
