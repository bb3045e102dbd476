package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// evidence is all that is known of a pull that failed and that a credential could have prevented.
type evidence struct {
	image image
	pod   puller
	// linked are the imagePullSecrets of the pod's ServiceAccount.
	linked []string
	// recreated is whether the pod was created after another of its owner had been evicted for want of the link.
	recreated bool
	// holdings are of the credentials whose Secret belongs into the namespace.
	holdings []holding
	now      time.Time
}

// puller is a pod whose image is not pulled.
type puller struct {
	namespace, name string
	uid             types.UID
	createdAt       time.Time
	account         string
	secrets         []string
	// owner is the controller that would create it anew; nil if nobody would.
	owner *metav1.OwnerReference
}

// holding is what a credential has for an image.
type holding struct {
	credential *credential
	// covering is the record of the entry that covers the image's host, and key its key in the Secret; covering is nil if none does.
	covering *record
	key      string
	// missing names an entry that the Secret holds no token of; empty if it holds all.
	missing string
	// failure is why that entry, or else the covering one, has no new token; nil if nothing is known.
	failure *failure
	// wanted is whether the credential links the pod's ServiceAccount.
	wanted bool
}

// finding is why a pull has failed, and what helps.
type finding struct {
	cause string
	// note names cause and cure in a sentence.
	note string
	// about is the credential that it is about.
	about *holding
	// try asks for a trial of the Secret's token: without it nothing can be said.
	try bool
	// evict is whether the pod's owner would create one that can pull.
	evict bool
	// wait is whether what lacks is on its way, as far as is known, so that it is too early to speak of it.
	wait bool
	// good is whether nothing needs to be done.
	good bool
}

// diagnose finds the cause. The first that applies is given.
func diagnose(e evidence) finding {
	covering := slices.DeleteFunc(pointers(e.holdings), func(h *holding) bool { return h.covering == nil })
	if len(covering) == 0 {
		return e.uncovered()
	}
	for _, h := range covering {
		if slices.Contains(e.pod.secrets, h.credential.Name) {
			return e.named(h)
		}
	}
	return e.unnamed(covering)
}

func pointers(holdings []holding) []*holding {
	all := make([]*holding, len(holdings))
	for i := range holdings {
		all[i] = &holdings[i]
	}
	return all
}

// uncovered is of an image whose registry is in no Secret.
func (e evidence) uncovered() finding {
	for i := range e.holdings {
		if h := &e.holdings[i]; h.missing != "" {
			return finding{cause: v1alpha1.CauseTokenMissing, about: h, wait: h.failure == nil, note: fmt.Sprintf(
				"Secret %s holds no token of the entry %s yet, and none for registry %s: %s", h.credential.Name, h.missing, e.image.host, h.why("it is being minted"))}
		}
	}
	var names []string
	for _, h := range e.holdings {
		names = append(names, h.credential.String())
	}
	return finding{cause: v1alpha1.CauseNotCovered, about: &e.holdings[0], note: fmt.Sprintf(
		"no credential covers registry %s: add it to the registries of %s, or let the pod name a Secret that holds a login for it",
		e.image.host, strings.Join(names, " or "))}
}

// named is of a pod that has the Secret.
func (e evidence) named(h *holding) finding {
	if !h.covering.ExpiresAt.After(e.now) {
		return finding{cause: v1alpha1.CauseTokenExpired, about: h, wait: h.failure == nil, note: fmt.Sprintf("the token for %s in Secret %s has expired at %s: %s",
			e.image.host, h.credential.Name, h.covering.ExpiresAt.UTC().Format(time.RFC3339), h.why("a new one is being minted"))}
	}
	return finding{about: h, try: true}
}

// unnamed is of a pod that lacks the Secret.
func (e evidence) unnamed(covering []*holding) finding {
	h := covering[0]
	for _, other := range covering {
		if slices.Contains(e.linked, other.credential.Name) {
			h = other
			break
		}
	}
	secret, linked := h.credential.Name, slices.Contains(e.linked, h.credential.Name)
	switch {
	case e.ownSecrets():
		return finding{cause: v1alpha1.CausePodNamesOwnSecrets, about: h, note: fmt.Sprintf(
			"the pod names its own imagePullSecrets (%s), so it does not inherit those of ServiceAccount %s: add %s to its list, or remove the list",
			strings.Join(e.pod.secrets, ", "), e.pod.account, secret)}
	case linked:
		f := finding{cause: v1alpha1.CausePodBeforeLink, about: h, evict: h.recovers(), note: fmt.Sprintf(
			"the pod was created before ServiceAccount %s was linked to Secret %s: recreate it", e.pod.account, secret)}
		if !f.evict {
			f.note += ", or set serviceAccounts.recoverPods: Evict"
		}
		return f
	case h.wanted:
		return finding{cause: v1alpha1.CauseNotLinked, about: h, wait: h.failure == nil, note: fmt.Sprintf(
			"ServiceAccount %s is not linked to Secret %s yet: %s", e.pod.account, secret, h.why("recreate the pod when it is"))}
	default:
		return finding{cause: v1alpha1.CauseNotLinked, about: h, note: fmt.Sprintf(
			"ServiceAccount %s is not among serviceAccounts of %s, and the pod does not name Secret %s: add one or the other, and recreate the pod",
			e.pod.account, h.credential.Key, secret)}
	}
}

// ownSecrets says whether the pod's list is its own. A pod that brings none gets that of its ServiceAccount, as it is at that time
// (Kubernetes' admission plugin ServiceAccount). A list of its own that looks just like that shows when the pod has been recreated.
func (e evidence) ownSecrets() bool {
	if len(e.pod.secrets) == 0 {
		return false
	}
	return e.recreated || slices.ContainsFunc(e.pod.secrets, func(s string) bool { return !slices.Contains(e.linked, s) })
}

func (h *holding) recovers() bool {
	accounts := h.credential.spec.ServiceAccounts
	return accounts != nil && accounts.RecoverPods == v1alpha1.RecoverPodsEvict
}

// why is what fails, or what is to be said if nothing is known to.
func (h *holding) why(otherwise string) string {
	if h.failure == nil {
		return otherwise
	}
	return h.failure.message
}

// judge completes a finding by the verdict of a trial.
func (e evidence) judge(f finding, verdict providers.Verdict) finding {
	secret := f.about.credential.Name
	switch verdict.Result {
	case providers.PullAllowed:
		f.cause, f.good = v1alpha1.CausePullAllowed, true
		f.note = fmt.Sprintf("the token in Secret %s may pull %s now: the kubelet tries again by itself", secret, e.image)
	case providers.PullDenied:
		f.cause = v1alpha1.CausePullDenied
		f.note = fmt.Sprintf("the token in Secret %s is fresh, but %s may not pull %s (%s): %s",
			secret, f.about.identity(), e.image, verdict.Answer, verdict.Cure)
	case providers.LoginRefused:
		f.cause = v1alpha1.CauseTokenRefused
		f.note = fmt.Sprintf("%s refuses the token in Secret %s (%s): it is replaced, and the kubelet tries again by itself",
			e.image.host, secret, verdict.Answer)
	}
	return f
}

// undecided is a finding without a trial.
func (e evidence) undecided(f finding, err error) finding {
	f.cause = v1alpha1.CauseUndecided
	f.note = fmt.Sprintf("the token in Secret %s lives until %s, and whether it may pull %s could not be found out: %s",
		f.about.credential.Name, f.about.covering.ExpiresAt.UTC().Format(time.RFC3339), e.image, failureOf(err).message)
	return f
}

// entry is the entry that covers the image.
func (h *holding) entry() *v1alpha1.Registry {
	for i := range h.credential.spec.Registries {
		if entry := &h.credential.spec.Registries[i]; h.covering != nil && entry.Name == h.covering.Name {
			return entry
		}
	}
	return nil
}

// identity is who may not.
func (h *holding) identity() string {
	entry := h.entry()
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
