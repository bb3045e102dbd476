package diagnosis

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Remedy is what happens to a token that a registry refuses.
type Remedy int

const (
	// Replaced means that it is minted anew for all who hold it.
	Replaced Remedy = iota
	// Restored means that it is not known as what was minted; this Secret alone is written anew.
	Restored
	// Repeated means that the provider can only repeat it, so that somebody has to mend its source.
	Repeated
)

// Judge completes a finding by the verdict of a trial of one holding's token; remedy matters only for one that is refused.
func (e Evidence) Judge(h *Holding, verdict providers.Verdict, remedy Remedy) Finding {
	f := Finding{About: h}
	switch verdict.Result {
	case providers.PullAllowed:
		f.Cause, f.Good = v1alpha1.CausePullAllowed, true
		f.Note = fmt.Sprintf("the token in Secret %s may pull %s now: the kubelet tries again by itself", h.Secret, e.Image)
		if e.Mirror != "" {
			f.Note += fmt.Sprintf("; if it fails again, it is %s that refuses, a mirror that is configured in the node's container runtime", e.Mirror)
		}
	case providers.PullDenied:
		f.Cause = v1alpha1.CausePullDenied
		f.Note = fmt.Sprintf("the token in Secret %s is fresh, but %s may not pull %s (%s): %s",
			h.Secret, h.identity(), e.Image, verdict.Answer, verdict.Cure)
	case providers.LoginRefused:
		f.Cause = v1alpha1.CauseTokenRefused
		f.Note = fmt.Sprintf("%s refuses the token in Secret %s (%s): %s", e.Image.Host, h.Secret, verdict.Answer, h.remedy(remedy, verdict.Cure))
	}
	return f
}

func (h *Holding) remedy(r Remedy, cure string) string {
	switch r {
	case Repeated:
		return cmp.Or(cure, "no other can be had until "+h.identity()+" is mended") + "; it is read again when it changes"
	case Restored:
		return "this Secret is written anew, and the kubelet tries again by itself"
	default:
		return "it is replaced, and the kubelet tries again by itself"
	}
}

// NoneOf says that several tokens were tried and none of them helps: what is wrong with the first, which the kubelet shows first.
func NoneOf(tried []Finding) Finding {
	first := tried[0]
	if len(tried) > 1 {
		names := make([]string, len(tried))
		for i, f := range tried {
			names[i] = f.About.Secret
		}
		first.Note = "none of the Secrets " + strings.Join(names, ", ") + " helps: " + first.Note
	}
	return first
}

// Undecided is a finding without a trial.
func (e Evidence) Undecided(h *Holding, why string) Finding {
	return Finding{About: h, Cause: v1alpha1.CauseUndecided, Note: fmt.Sprintf(
		"the token in Secret %s lives until %s, and whether it may pull %s could not be found out: %s",
		h.Secret, h.Covering.ExpiresAt.UTC().Format(time.RFC3339), e.Image, why)}
}

// identity names the identity that lacks the right.
func (h *Holding) identity() string {
	entry := h.Covering.Entry
	switch {
	case entry == nil:
		return "its identity"
	case entry.ECR != nil && entry.ECR.RoleARN != "":
		return "role " + entry.ECR.RoleARN
	case entry.Identity == nil:
		return "the controller's own identity"
	case entry.Identity.ServiceAccountRef != nil:
		return "the identity of ServiceAccount " + entry.Identity.ServiceAccountRef.Name
	case entry.Identity.SecretRef != nil:
		return "the identity in Secret " + entry.Identity.SecretRef.Name
	default:
		return "its identity"
	}
}
