package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/dockerkey"
)

// Evidence is all that is known of a pull that failed and that a credential could have prevented.
type Evidence struct {
	Image Image
	Pod   Pod
	// Linked are the imagePullSecrets of the pod's ServiceAccount.
	Linked []string
	// Recreated is whether the pod was created after another of its owner had been evicted for want of the link.
	Recreated bool
	// Holdings are what each credential has whose Secret belongs into the namespace: at least one, for Diagnose.
	Holdings []Holding
	// WithLogin is the cause that the kubelet's words give if it showed a login; empty if they say that the login was not enough.
	WithLogin string
	// Mirror is the host that answered the kubelet, if it is another than the image's.
	Mirror string
	Now    time.Time
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
	// Recovers is whether the credential has pods evicted that came before the link, and this one would be made anew without loss.
	Recovers bool
}

// Cover is the entry of a Secret that the kubelet chooses for an image.
type Cover struct {
	// Key is the registry's, as the Secret's record names it.
	Key string
	// Entry is the registry entry in the credential's spec; nil if it is there no longer.
	Entry     *v1alpha1.Registry
	ExpiresAt time.Time
}

// inSecret is the key as the Secret has it.
func (c *Cover) inSecret() string {
	if c.Key == dockerkey.Hub {
		return dockerkey.HubKey
	}
	return c.Key
}

// Cover takes in that the Secret holds a token of the entry for the hosts, and says whether the kubelet takes that for the image: of what the
// Secret holds, it takes one.
func (h *Holding) Cover(i Image, entry *v1alpha1.Registry, hosts []string, expiresAt time.Time) bool {
	before := h.Covering
	for _, host := range hosts {
		c := &Cover{Key: host, Entry: entry, ExpiresAt: expiresAt}
		switch {
		case len(i.Choose([]string{c.inSecret()})) == 0:
		case h.Covering == nil, i.Choose([]string{h.Covering.inSecret(), c.inSecret()})[0] != h.Covering.inSecret():
			h.Covering = c
		}
	}
	return h.Covering != before
}

// Finding is why a pull has failed, and what helps.
type Finding struct {
	Cause string
	// Note names cause and cure in a sentence.
	Note string
	// About is the credential that it is about; nil if it is about none.
	About *Holding
	// Try are the holdings whose tokens must be tried, in the order in which the kubelet shows them: without that nothing can be said.
	Try []*Holding
	// Evict is whether the pod's owner would create one that can pull.
	Evict bool
	// Wait is whether the missing part is expected soon, so that it is too early to speak of it.
	Wait bool
	// Good is whether nothing needs to be done.
	Good bool
}

// Diagnose finds the cause. The first that applies is given. There must be a holding: without a credential there is nothing to say.
func Diagnose(e Evidence) Finding {
	covering := slices.DeleteFunc(pointers(e.Holdings), func(h *Holding) bool { return h.Covering == nil })
	shown := e.shown(covering)
	switch {
	case len(shown) > 0:
		return e.named(shown)
	case e.WithLogin != "" && e.ownSecrets():
		// What the Secrets of others hold is not known here.
		return Finding{Cause: e.WithLogin}
	case len(covering) > 0:
		return e.unnamed(covering)
	case e.WithLogin == v1alpha1.CauseImageNotFound:
		return Finding{Cause: e.WithLogin, Note: fmt.Sprintf("%s has no such image, or it is private and no credential covers registry %s", e.Image, e.Image.Host)}
	default:
		return e.uncovered()
	}
}

// shown are the holdings whose login the kubelet shows to the registry, in its order: by the key, the more particular first, and of keys
// that mean the same as the pod lists the Secrets (pkg/credentialprovider/keyring.go).
func (e Evidence) shown(covering []*Holding) []*Holding {
	listed := slices.DeleteFunc(slices.Clone(covering), func(h *Holding) bool { return !slices.Contains(e.Pod.Secrets, h.Secret) })
	var keys []string
	for _, h := range listed {
		keys = append(keys, h.Covering.inSecret())
	}
	ranks := e.Image.Ranks(keys)
	shown := slices.DeleteFunc(listed, func(h *Holding) bool {
		_, chosen := ranks[h.Covering.inSecret()]
		return !chosen
	})
	slices.SortStableFunc(shown, func(a, b *Holding) int {
		return cmp.Or(cmp.Compare(ranks[a.Covering.inSecret()], ranks[b.Covering.inSecret()]),
			cmp.Compare(slices.Index(e.Pod.Secrets, a.Secret), slices.Index(e.Pod.Secrets, b.Secret)))
	})
	return shown
}

func pointers(holdings []Holding) []*Holding {
	all := make([]*Holding, len(holdings))
	for i := range holdings {
		all[i] = &holdings[i]
	}
	return all
}

// uncovered is the finding for an image whose registry is in no Secret.
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

// named is the finding for a pod that names a Secret with a login for the registry.
func (e Evidence) named(shown []*Holding) Finding {
	live := slices.DeleteFunc(slices.Clone(shown), func(h *Holding) bool { return !h.Covering.ExpiresAt.After(e.Now) })
	switch {
	case len(live) == 0:
		h := shown[0]
		return Finding{Cause: v1alpha1.CauseTokenExpired, About: h, Wait: h.Failure == "", Note: fmt.Sprintf("the token for %s in Secret %s has expired at %s: %s",
			e.Image.Host, h.Secret, h.Covering.ExpiresAt.UTC().Format(time.RFC3339), h.Why("a new one is being minted"))}
	case e.WithLogin != "":
		return Finding{Cause: e.WithLogin, Note: fmt.Sprintf("%s answered a pull that showed the login of Secret %s", cmp.Or(e.Mirror, e.Image.Host), live[0].Secret)}
	}
	return Finding{About: live[0], Try: live}
}

// unnamed is the finding for a pod that does not name the Secret.
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
			told(e.Pod.Secrets), e.Pod.Account, secret)}
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

// told names the first Secrets of a pod's list, where the API server takes any text: what cannot be the name of a Secret is not told, as a
// credential's events are read by others than the pod's owner.
func told(secrets []string) string {
	const most = 3
	names := slices.DeleteFunc(slices.Clone(secrets), func(name string) bool { return len(validation.IsDNS1123Subdomain(name)) > 0 })
	switch {
	case len(names) == 0:
		return "none of which can be the name of a Secret"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
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
