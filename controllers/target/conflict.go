package target

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/internal/apiserver"
)

// maxConflictWait is the longest time after which a Secret in conflict is looked at again.
const maxConflictWait = 30 * time.Minute

// knownConflict is a conflict that was found.
type knownConflict struct {
	failure *credential.Failure
	// version is the credential's resource version then: when it has changed, the Secret is looked at again at once.
	version string
	looks   int
	next    time.Time
}

// conflictOf is a conflict that need not be looked at yet; nil if there is none.
func (r *Reconciler) conflictOf(t credential.Target, c *credential.Credential) *credential.Failure {
	s, ok := r.conflicts.Get(t)
	left := s.next.Sub(r.Clock.Now())
	if !ok || s.version != c.Object.GetResourceVersion() || left <= 0 {
		return nil
	}
	f := *s.failure
	f.RetryAfter = left
	return &f
}

// noteConflict takes note of a conflict, which is looked at ever more rarely.
func (r *Reconciler) noteConflict(t credential.Target, c *credential.Credential, f *credential.Failure) *credential.Failure {
	r.conflicts.Update(t, func(s knownConflict, _ bool) knownConflict {
		wait := min(credential.RetryAfter<<min(s.looks, 10), maxConflictWait)
		if s.looks > 0 {
			wait -= spread(string(c.Object.GetUID())+"/"+t.Namespace, wait/jitterShare)
		}
		f.RetryAfter = wait
		return knownConflict{failure: f, version: c.Object.GetResourceVersion(), looks: s.looks + 1, next: r.Clock.Now().Add(wait)}
	})
	return f
}

// conflict says why the observed Secret must not be touched.
func conflict(o observed) *credential.Failure {
	if o.secret == nil || pullsecret.Ours(o.owner, o.secret) {
		return nil
	}
	f := &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, RetryAfter: credential.RetryAfter}
	owner := metav1.GetControllerOfNoCopy(o.secret)
	keeper, kept := credential.TargetOf(o.secret)
	switch {
	case owner == nil && kept:
		keeper.Credential.Name = apiserver.Name(keeper.Credential.Name)
		f.Message = fmt.Sprintf("Secret %s/%s is kept by %s: create this credential anew with another secretName", o.secret.Namespace, o.secret.Name, keeper.Credential)
	case owner != nil:
		f.Message = fmt.Sprintf("Secret %s/%s belongs to %s %s: create this credential anew with another secretName", o.secret.Namespace, o.secret.Name, apiserver.Name(owner.Kind), apiserver.Name(owner.Name))
	case o.secret.Annotations[v1alpha1.AnnotationAdopt] == "true":
		return nil
	default:
		f.Message = fmt.Sprintf("Secret %s/%s exists and was not made by this credential: delete or rename it, or annotate it with %s=true to hand it over; it is looked at again in two minutes, and later every half hour",
			o.secret.Namespace, o.secret.Name, v1alpha1.AnnotationAdopt)
	}
	return f
}

// ownSource says why a Secret must not be written that its credential reads, whatever its owner says: it would see its own output as its
// input. The schema cannot know in which namespace a cluster-wide credential does both.
func (r *Reconciler) ownSource(t credential.Target, c *credential.Credential) *credential.Failure {
	if t.Namespace != r.identityNamespace(c) {
		return nil
	}
	for _, entry := range c.Spec.Registries {
		if credential.WithSecret(&entry, t.Name) {
			return &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: fmt.Sprintf(
				"Secret %s is what the entry %s reads, and so is never written: create this credential anew with another secretName, or let the entry read another Secret",
				t.Secret(), entry.Name)}
		}
	}
	return nil
}
