package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Evidence is all that is known of a pull that failed and that a credential could have prevented.
type Evidence struct {
	Image Image
	Pod   Pod
	// Linked are the imagePullSecrets of the pod's ServiceAccount.
	Linked []string
	// Recreated is whether the pod was created after another of its owner had been evicted for want of the link.
	Recreated bool
	// Holdings are of the credentials whose Secret belongs into the namespace.
	Holdings []Holding
	Now      time.Time
}

// Pod is a pod whose image is not pulled.
type Pod struct {
	Account string
	// Secrets are its imagePullSecrets.
	Secrets []string
}

// Holding is what a credential has for an image.
type Holding struct {
	// Credential names the credential in a sentence, and Secret is the Secret that it keeps in the namespace.
	Credential, Secret string
	// Covering is the entry that covers the image's host; nil if none does.
	Covering *Cover
	// Missing names an entry that the Secret holds no token of; empty if it holds all.
	Missing string
	// Failure is why that entry, or else the covering one, has no new token; empty if nothing is known.
	Failure string
	// Wanted is whether the credential links the pod's ServiceAccount.
	Wanted bool
	// Recovers is whether the credential has pods evicted that came before the link.
	Recovers bool
}

// Cover is the entry of a Secret that the kubelet chooses for an image.
type Cover struct {
	// Key is the registry's in the Secret.
	Key string
	// Entry is the registry entry in the credential's spec; nil if it is there no longer.
	Entry     *v1alpha1.Registry
	ExpiresAt time.Time
}

// Finding is why a pull has failed, and what helps.
type Finding struct {
	Cause string
	// Note names cause and cure in a sentence.
	Note string
	// About is the credential that it is about.
	About *Holding
	// Try asks for a trial of the Secret's token: without it nothing can be said.
	Try bool
	// Evict is whether the pod's owner would create one that can pull.
	Evict bool
	// Wait is whether what lacks is on its way, as far as is known, so that it is too early to speak of it.
	Wait bool
	// Good is whether nothing needs to be done.
	Good bool
}

// Diagnose finds the cause. The first that applies is given.
func Diagnose(e Evidence) Finding {
	covering := slices.DeleteFunc(pointers(e.Holdings), func(h *Holding) bool { return h.Covering == nil })
	if len(covering) == 0 {
		return e.uncovered()
	}
	for _, h := range covering {
		if slices.Contains(e.Pod.Secrets, h.Secret) {
			return e.named(h)
		}
	}
	return e.unnamed(covering)
}

func pointers(holdings []Holding) []*Holding {
	all := make([]*Holding, len(holdings))
	for i := range holdings {
		all[i] = &holdings[i]
	}
	return all
}

// uncovered is of an image whose registry is in no Secret.
func (e Evidence) uncovered() Finding {
	for i := range e.Holdings {
		if h := &e.Holdings[i]; h.Missing != "" {
			return Finding{Cause: v1alpha1.CauseTokenMissing, About: h, Wait: h.Failure == "", Note: fmt.Sprintf(
				"Secret %s holds no token of the entry %s yet, and none for registry %s: %s", h.Secret, h.Missing, e.Image.Host, h.Why("it is being minted"))}
		}
	}
	var names []string
	for _, h := range e.Holdings {
		names = append(names, h.Credential)
	}
	return Finding{Cause: v1alpha1.CauseNotCovered, About: &e.Holdings[0], Note: fmt.Sprintf(
		"no credential covers registry %s: add it to the registries of %s, or let the pod name a Secret that holds a login for it",
		e.Image.Host, strings.Join(names, " or "))}
}

// named is of a pod that has the Secret.
func (e Evidence) named(h *Holding) Finding {
	if !h.Covering.ExpiresAt.After(e.Now) {
		return Finding{Cause: v1alpha1.CauseTokenExpired, About: h, Wait: h.Failure == "", Note: fmt.Sprintf("the token for %s in Secret %s has expired at %s: %s",
			e.Image.Host, h.Secret, h.Covering.ExpiresAt.UTC().Format(time.RFC3339), h.Why("a new one is being minted"))}
	}
	return Finding{About: h, Try: true}
}

// unnamed is of a pod that lacks the Secret.
func (e Evidence) unnamed(covering []*Holding) Finding {
	h := covering[0]
	for _, other := range covering {
		if slices.Contains(e.Linked, other.Secret) {
			h = other
			break
		}
	}
	secret, linked := h.Secret, slices.Contains(e.Linked, h.Secret)
	switch {
	case e.ownSecrets():
		return Finding{Cause: v1alpha1.CausePodNamesOwnSecrets, About: h, Note: fmt.Sprintf(
			"the pod names its own imagePullSecrets (%s), so it does not inherit those of ServiceAccount %s: add %s to its list, or remove the list",
			strings.Join(e.Pod.Secrets, ", "), e.Pod.Account, secret)}
	case linked:
		f := Finding{Cause: v1alpha1.CausePodBeforeLink, About: h, Evict: h.Recovers, Note: fmt.Sprintf(
			"the pod was created before ServiceAccount %s was linked to Secret %s: recreate it", e.Pod.Account, secret)}
		if !f.Evict {
			f.Note += ", or set serviceAccounts.recoverPods: Evict"
		}
		return f
	case h.Wanted:
		return Finding{Cause: v1alpha1.CauseNotLinked, About: h, Wait: h.Failure == "", Note: fmt.Sprintf(
			"ServiceAccount %s is not linked to Secret %s yet: %s", e.Pod.Account, secret, h.Why("recreate the pod when it is"))}
	default:
		return Finding{Cause: v1alpha1.CauseNotLinked, About: h, Note: fmt.Sprintf(
			"ServiceAccount %s is not among serviceAccounts of %s, and the pod does not name Secret %s: add one or the other, and recreate the pod",
			e.Pod.Account, h.Credential, secret)}
	}
}

// ownSecrets says whether the pod's list is its own. A pod that brings none gets that of its ServiceAccount, as it is at that time
// (Kubernetes' admission plugin ServiceAccount). A list of its own that looks just like that shows when the pod has been recreated.
func (e Evidence) ownSecrets() bool {
	if len(e.Pod.Secrets) == 0 {
		return false
	}
	return e.Recreated || slices.ContainsFunc(e.Pod.Secrets, func(s string) bool { return !slices.Contains(e.Linked, s) })
}

// Why is what fails, or what is to be said if nothing is known to.
func (h *Holding) Why(otherwise string) string {
	if h.Failure == "" {
		return otherwise
	}
	return h.Failure
}

// Judge completes a finding by the verdict of a trial.
func (e Evidence) Judge(f Finding, verdict providers.Verdict) Finding {
	secret := f.About.Secret
	switch verdict.Result {
	case providers.PullAllowed:
		f.Cause, f.Good = v1alpha1.CausePullAllowed, true
		f.Note = fmt.Sprintf("the token in Secret %s may pull %s now: the kubelet tries again by itself", secret, e.Image)
	case providers.PullDenied:
		f.Cause = v1alpha1.CausePullDenied
		f.Note = fmt.Sprintf("the token in Secret %s is fresh, but %s may not pull %s (%s): %s",
			secret, f.About.identity(), e.Image, verdict.Answer, verdict.Cure)
	case providers.LoginRefused:
		f.Cause = v1alpha1.CauseTokenRefused
		f.Note = fmt.Sprintf("%s refuses the token in Secret %s (%s): it is replaced, and the kubelet tries again by itself",
			e.Image.Host, secret, verdict.Answer)
	}
	return f
}

// Undecided is a finding without a trial.
func (e Evidence) Undecided(f Finding, why string) Finding {
	f.Cause = v1alpha1.CauseUndecided
	f.Note = fmt.Sprintf("the token in Secret %s lives until %s, and whether it may pull %s could not be found out: %s",
		f.About.Secret, f.About.Covering.ExpiresAt.UTC().Format(time.RFC3339), e.Image, why)
	return f
}

// identity is who may not.
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
