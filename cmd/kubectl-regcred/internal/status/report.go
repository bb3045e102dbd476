// Package status says how the credentials of a cluster stand: what fails, since when, how long until it hurts, and what helps.
package status

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Report is what the command prints.
type Report struct {
	Credentials []Credential `json:"credentials"`
	// NotRead are the sentences about what the caller may not read.
	NotRead []string `json:"notRead,omitempty"`
}

// State is how bad it is.
type State string

// The states, the worst first.
const (
	// Failing: pods cannot pull by the credential, in some namespace or everywhere.
	Failing State = "Failing"
	// Warning: pods pull, and somebody should look.
	Warning State = "Warning"
	// Fine: nothing to do.
	Fine State = "Fine"
)

var states = []State{Failing, Warning, Fine}

// Credential is how one credential stands.
type Credential struct {
	Kind      string                 `json:"kind"`
	Namespace string                 `json:"namespace,omitempty"`
	Name      string                 `json:"name"`
	Secret    string                 `json:"secret"`
	State     State                  `json:"state"`
	Ready     metav1.ConditionStatus `json:"ready"`
	Reason    string                 `json:"reason"`
	Message   string                 `json:"message,omitempty"`
	Since     *metav1.Time           `json:"since,omitempty"`
	// FailingSince is since when something fails, if the cluster knows it: Ready stays True while tokens live.
	FailingSince *metav1.Time              `json:"failingSince,omitempty"`
	Suspended    bool                      `json:"suspended,omitempty"`
	ExpiresAt    *metav1.Time              `json:"expiresAt,omitempty"`
	Counts       *v1alpha1.NamespaceCounts `json:"namespaces,omitempty"`
	Entries      []Entry                   `json:"registries,omitempty"`
	Failures     []v1alpha1.FailureGroup   `json:"failures,omitempty"`
	// Expired are the namespaces whose Secret holds an expired token, as the Secrets themselves record it.
	Expired []string `json:"expiredIn,omitempty"`
	// Cure is what helps, as an imperative. Empty if nothing needs to be done.
	Cure string `json:"cure,omitempty"`
	// Impact are the workloads whose next pod would not start, if they were asked for.
	Impact []string `json:"impact,omitempty"`
	// PossibleImpact are those of which it is not known: another Secret, or what somebody else writes into this one, may help them.
	PossibleImpact []string `json:"possibleImpact,omitempty"`

	// behind is whether the report is of an older spec.
	behind bool
}

// Entry is how one registry entry stands.
type Entry struct {
	Name      string                 `json:"name"`
	Provider  string                 `json:"provider"`
	Hosts     []string               `json:"hosts,omitempty"`
	IssuedAt  *metav1.Time           `json:"issuedAt,omitempty"`
	ExpiresAt *metav1.Time           `json:"expiresAt,omitempty"`
	RefreshAt *metav1.Time           `json:"refreshAt,omitempty"`
	Verified  metav1.ConditionStatus `json:"verified,omitempty"`
	Reason    string                 `json:"reason,omitempty"`
	Message   string                 `json:"message,omitempty"`
	renew     int32
}

func (c *Credential) ref() cluster.Ref {
	return cluster.Ref{Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}
}

// bad says whether the exit code tells of it.
func (c *Credential) bad() bool { return c.Ready != metav1.ConditionTrue || c.State == Failing }

// ReasonNotReported is the reason of a credential of which the controller has said nothing, or nothing that can still be true.
const ReasonNotReported = "NotReported"

// assess reads what the controller reports of a credential.
func assess(c *cluster.Credential, now time.Time) Credential {
	a := Credential{
		Kind: c.Kind, Namespace: c.GetNamespace(), Name: c.GetName(), Secret: c.Spec.NameOfSecret(c.GetName()),
		Ready: metav1.ConditionUnknown, Reason: ReasonNotReported, Suspended: c.Spec.Suspend, ExpiresAt: c.Status.ExpiresAt,
		behind: c.Status.ObservedGeneration < c.GetGeneration(),
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		a.Ready, a.Reason, a.Message, a.Since = ready.Status, ready.Reason, ready.Message, &ready.LastTransitionTime
	}
	if c.Cluster != nil {
		a.Counts, a.Failures = c.Cluster.Namespaces, c.Cluster.Failures
	}
	for i := range c.Spec.Registries {
		a.Entries = append(a.Entries, entryOf(&c.Spec.Registries[i], c.Status))
	}
	switch {
	case a.Reason == ReasonNotReported:
		a.Message = "the controller has not reported on it"
	case a.Ready == metav1.ConditionTrue && a.ExpiresAt != nil && !a.ExpiresAt.After(now):
		a.Ready, a.Reason, a.Since = metav1.ConditionFalse, ReasonNotReported, a.ExpiresAt
		a.Message = "a token has expired, and the controller has said nothing since"
	}
	a.State = stateOf(&a)
	a.FailingSince = a.failingSince(c.Status.Conditions, now)
	a.Cure = cureOf(&a, meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionStalled))
	return a
}

// failingSince is since when the credential is not Ready, only a change of the spec can help, or a refresh is due that fails.
func (c *Credential) failingSince(conditions []metav1.Condition, now time.Time) (since *metav1.Time) {
	stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	switch {
	case c.State == Fine, c.Suspended && c.Ready == metav1.ConditionTrue:
		return nil
	case c.Ready != metav1.ConditionTrue:
		return c.Since
	case stalled != nil && stalled.Status == metav1.ConditionTrue:
		return &stalled.LastTransitionTime
	}
	for _, e := range c.Entries {
		if e.Reason != "" && e.Reason != v1alpha1.ReasonOverridden && e.RefreshAt != nil && !e.RefreshAt.After(now) && (since == nil || e.RefreshAt.Before(since)) {
			since = e.RefreshAt
		}
	}
	return since
}

func entryOf(r *v1alpha1.Registry, s *v1alpha1.CredentialStatus) Entry {
	provider, _ := r.Provider()
	e := Entry{Name: r.Name, Provider: provider, renew: r.RenewBefore()}
	at := slices.IndexFunc(s.Registries, func(r v1alpha1.RegistryStatus) bool { return r.Name == e.Name })
	if at >= 0 {
		reported := s.Registries[at]
		e.Hosts, e.ExpiresAt, e.RefreshAt = reported.Hosts, reported.ExpiresAt, reported.RefreshAt
		e.Verified, e.Reason, e.Message = reported.Verified, reported.Reason, reported.Message
	}
	return e
}

func stateOf(c *Credential) State {
	failing := slices.ContainsFunc(c.Entries, func(e Entry) bool { return e.Reason != "" })
	switch {
	case c.Ready != metav1.ConditionTrue && (!c.Suspended || c.Ready == metav1.ConditionFalse), c.Reason == v1alpha1.ReasonPartial:
		return Failing
	case c.Suspended || failing || len(c.Failures) > 0:
		return Warning
	default:
		return Fine
	}
}

// life is when the entry's token began, as far as is known. Without a record of it, it follows from when it is to be renewed.
func (e *Entry) life() (from, to time.Time) {
	switch {
	case e.ExpiresAt == nil:
		return time.Time{}, time.Time{}
	case e.IssuedAt != nil:
		return e.IssuedAt.Time, e.ExpiresAt.Time
	case e.RefreshAt != nil:
		return e.ExpiresAt.Add(-e.ExpiresAt.Sub(e.RefreshAt.Time) * 100 / time.Duration(e.renew)), e.ExpiresAt.Time
	default:
		return e.ExpiresAt.Time, e.ExpiresAt.Time
	}
}

// order puts the worst first, and then goes by name.
func order(a, b Credential) int {
	return cmp.Or(cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
