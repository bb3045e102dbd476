package status

import (
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// cures are what helps, by the reason that a credential, an entry or a namespace has. A %s is the credential's name as an argument.
var cures = map[string]string{
	ReasonNotReported:                        "look whether the controller runs: kubectl regcred doctor",
	v1alpha1.ReasonSuspended:                 "kubectl regcred resume %s",
	v1alpha1.ReasonExpired:                   "kubectl regcred refresh %s --wait",
	v1alpha1.ReasonAccessDenied:              "allow it to the identity: kubectl regcred access %s prints how",
	v1alpha1.ReasonIdentityNotFound:          "create the identity, or correct its name: kubectl regcred access %s prints what it needs",
	v1alpha1.ReasonIdentityInvalid:           "complete the identity, as the message says; kubectl regcred access %s prints what it needs",
	v1alpha1.ReasonAmbientIdentityNotAllowed: "add an identity to the entry, or ask the administrator for the right to use the controller's own",
	v1alpha1.ReasonVerificationFailed:        "allow the pull to the identity: kubectl regcred access %s prints how",
	v1alpha1.ReasonSecretConflict:            "hand the Secret over (annotate it with regcred.dev/adopt=true), delete it, or choose another secretName",
	v1alpha1.ReasonSecretRejected:            "look at the quotas and admission policies of the namespace",
	v1alpha1.ReasonContended:                 "stop the other writer that the message names",
	v1alpha1.ReasonThrottled:                 "nothing: it is tried again by itself",
	v1alpha1.ReasonUnavailable:               "look at the cloud's state and at the network of the controller: it is tried again by itself",
	v1alpha1.ReasonOverrideInvalid:           "kubectl regcred override %s --end, or set it anew",
	v1alpha1.ReasonProgressing:               "nothing: it is being served for the first time",
}

// cureOf is what helps the worst that is known of a credential.
func cureOf(c *Credential, stalled bool) string {
	if c.State == Fine {
		return ""
	}
	reasons := []string{c.Reason}
	for _, e := range c.Entries {
		reasons = append(reasons, e.Reason)
	}
	for _, f := range c.Failures {
		reasons = append(reasons, f.Reason)
	}
	if c.Reason == v1alpha1.ReasonPartial || c.Reason == v1alpha1.ReasonRefreshFailing || c.Reason == v1alpha1.ReasonExpired {
		reasons = append(reasons[1:], c.Reason) // the reasons behind it say more
	}
	for _, reason := range reasons {
		if cure := cures[reason]; cure != "" {
			return fill(cure, c)
		}
	}
	if stalled {
		return "correct the spec, as the message says"
	}
	return "as the message says"
}

func fill(cure string, c *Credential) string {
	name := output.Shell(c.ref().String())
	if c.Namespace != "" {
		name += " -n " + output.Shell(c.Namespace)
	}
	return strings.ReplaceAll(cure, "%s", name)
}
