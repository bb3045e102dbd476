package report

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// fill writes the summary into a status.
func (s *summary) fill(c *credential.Credential, status *v1alpha1.ClusterCredentialStatus) {
	s.keepUnproven(status.Registries)
	status.Registries = s.registries
	status.RegistriesCurrent = fmt.Sprintf("%d/%d", s.registriesCurrent(), len(s.registries))
	status.ExpiresAt, status.RefreshAt = nil, nil
	for _, r := range s.registries {
		if r.ExpiresAt != nil {
			status.ExpiresAt = earliest(status.ExpiresAt, r.ExpiresAt.Time)
		}
		if r.RefreshAt != nil {
			status.RefreshAt = earliest(status.RefreshAt, r.RefreshAt.Time)
		}
	}
	if c.Namespace == "" {
		status.Namespaces = &v1alpha1.NamespaceCounts{Selected: int32(s.selected), Current: int32(s.current), Conflicting: int32(s.conflicting)}
		status.Failures = nil
		for _, g := range s.failures {
			status.Failures = append(status.Failures, g.FailureGroup)
		}
	}
	s.answered(status)
	ready := s.ready(c)
	ready.Message, ready.ObservedGeneration = credential.Truncate(ready.Message), max(0, status.ObservedGeneration)
	meta.SetStatusCondition(&status.Conditions, ready)
	if s.stalled == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, ObservedGeneration: ready.ObservedGeneration,
		Reason: s.stalled.Reason, Message: credential.Truncate(s.stalled.Message),
	})
}

// keepUnproven repeats why a token was not proved where nobody remembers it, as after a restart.
func (s *summary) keepUnproven(was []v1alpha1.RegistryStatus) {
	for i := range s.registries {
		r := &s.registries[i]
		if r.Verified != metav1.ConditionUnknown || r.Reason != "" || r.Message != "" {
			continue
		}
		for _, before := range was {
			if before.Name == r.Name && before.Verified == r.Verified && before.Reason == "" {
				r.Message = before.Message
			}
		}
	}
}

// answered says which spec and which refresh request every target has answered. A target that waits for an answer takes nothing back.
func (s *summary) answered(status *v1alpha1.ClusterCredentialStatus) {
	if s.unheard > 0 {
		return
	}
	status.ObservedGeneration = max(status.ObservedGeneration, s.generation)
	if s.refresh != "" {
		status.LastHandledRefreshAt = s.refresh
	}
}

// registriesCurrent counts the registries that every selected namespace holds a live token for; none if no namespace is selected.
func (s *summary) registriesCurrent() int {
	current := 0
	for _, live := range s.live {
		if s.selected > 0 && live == s.selected {
			current++
		}
	}
	return current
}

// ready answers whether pods can pull.
func (s *summary) ready(c *credential.Credential) metav1.Condition {
	switch {
	case c.Spec.Suspend:
		return s.suspended(c)
	case s.selected == 0:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonNoTargets, "No namespace is selected by namespaceSelector")
	case s.current < s.selected && s.partial(c):
		return condition(metav1.ConditionTrue, v1alpha1.ReasonPartial, s.behind()+s.failures[0].String())
	case s.current < s.selected:
		return s.notReady(c)
	case s.failing != nil:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing, "The tokens in use are good, but cannot be refreshed: "+s.failing.String())
	case s.failingOwn != nil:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing, "The tokens in use are good, but cannot be refreshed: "+s.failingOwn.String())
	}
	return condition(metav1.ConditionTrue, v1alpha1.ReasonCurrent, "Pods can pull from every registry")
}

// partial says whether the credential works, and what fails is its namespaces' own fault or only begins.
func (s *summary) partial(c *credential.Credential) bool {
	return c.Namespace == "" && s.current > 0 && s.selected-s.current == s.unheard+s.waiting+s.ownFault
}

// notReady says why pods cannot pull: what is the credential's fault before what is a namespace's.
func (s *summary) notReady(c *credential.Credential) metav1.Condition {
	ready := condition(metav1.ConditionFalse, v1alpha1.ReasonProgressing, "Tokens are being minted")
	for _, f := range []*located{s.failing, s.failingOwn} {
		if f != nil {
			ready.Reason, ready.Message = f.Reason, f.String()
			break
		}
	}
	if s.expired != "" {
		ready.Reason, ready.Message = v1alpha1.ReasonExpired, s.expired+"; "+ready.Message
	}
	if c.Namespace == "" {
		ready.Message = s.behind() + ready.Message
	}
	return ready
}

// suspended says what the published tokens are good for while nothing is done. What becomes of one namespace's Secret does not speak for the
// others.
func (s *summary) suspended(c *credential.Credential) metav1.Condition {
	switch {
	case c.Namespace == "" && 0 < s.current && s.current < s.selected:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonSuspended, s.behind()+"spec.suspend keeps them from being served")
	case s.expired != "":
		return condition(metav1.ConditionFalse, v1alpha1.ReasonSuspended, s.expired+"; spec.suspend keeps it from being refreshed")
	case s.selected > 0 && s.current == s.selected:
		return condition(metav1.ConditionTrue, v1alpha1.ReasonSuspended, "The published tokens live; spec.suspend keeps them from being refreshed")
	case s.served:
		return condition(metav1.ConditionFalse, v1alpha1.ReasonSuspended, s.behind()+"spec.suspend keeps them from being served")
	}
	return condition(metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "Nothing has been published, and spec.suspend keeps it so")
}

// behind counts the namespaces whose pods cannot pull.
func (s *summary) behind() string {
	return fmt.Sprintf("%d of %d namespaces cannot pull from every registry: ", s.selected-s.current, s.selected)
}

func condition(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}
}
