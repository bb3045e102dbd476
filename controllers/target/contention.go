package target

import (
	"fmt"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
)

const (
	// maxTargets bounds the targets that anything is remembered about.
	maxTargets = 1 << 16
	// targetsOfTenant bounds those of one namespace's credentials of which what was written is remembered.
	targetsOfTenant = 1 << 12
)

// repairs are the causes that somebody else brings about.
func (c Cause) repairs() bool {
	return c == CauseMissing || c == CauseEdited || c == CauseRelabelled || c == CauseOwnerChanged || c == CauseTemplateEdited
}

// contended says why a repair has to wait; nil if it has not.
func (r *Reconciler) contended(t credential.Target, why Cause) *credential.Failure {
	wait, rival := r.repairs.Wait(t)
	if !why.repairs() || wait <= 0 {
		return nil
	}
	return &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: wait, Message: fmt.Sprintf(
		"Secret %s is changed by %s again and again, and is restored ever more rarely: stop that, or create the credential anew with another secretName",
		t.Secret(), rival)}
}

// rivalOf names the field manager that has changed the Secret, as far as that is known.
func rivalOf(o observed) string {
	if o.secret == nil {
		return "somebody who deletes it"
	}
	for _, entry := range o.secret.ManagedFields {
		if name := entry.Manager; name != v1alpha1.FieldManager && name != "" {
			return apiserver.FieldManager(name)
		}
	}
	return apiserver.FieldManager("")
}
