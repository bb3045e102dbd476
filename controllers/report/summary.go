package report

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

// maxFailures is how many reasons a status tells of, and maxNamespaces how many namespaces of each.
const (
	maxFailures   = 10
	maxNamespaces = 5
)

// summary is how a credential stands over all its targets.
type summary struct {
	selected, current, unheard int
	// age is how long ago the first target was heard of.
	age time.Duration
	// generation is the oldest that a target was served with.
	generation int64
	registries []v1alpha1.RegistryStatus
	// live counts, by entry, the targets that hold a live token.
	live     []int
	failures []v1alpha1.FailureGroup
	// conflicting counts the targets whose Secret is not the credential's.
	conflicting int
	// nextExpiry is when the first token that lives will die; expired names an entry whose token has.
	nextExpiry time.Time
	expired    string
	// failing is the first failure found, and where: it speaks for all in the Ready condition.
	failing *credential.Failure
	where   string
	stalled *credential.Failure
}

// sum adds up the targets of a credential.
func (l *Ledger) sum(c *credential.Credential, selected []string, now time.Time) summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[c.Key]
	if b == nil {
		b = l.open(c.Key, now)
	}
	b.selected = len(selected)
	s := summary{selected: len(selected), age: now.Sub(b.opened), generation: c.Object.GetGeneration()}
	names := make([]string, len(c.Spec.Registries))
	s.registries, s.live = make([]v1alpha1.RegistryStatus, len(names)), make([]int, len(names))
	for i, entry := range c.Spec.Registries {
		names[i] = entry.Name
		s.registries[i] = v1alpha1.RegistryStatus{Name: entry.Name, Hosts: firstHosts(b.hosts[entry.Name])}
	}
	type failing struct {
		*credential.Failure
		since     time.Time
		namespace string
	}
	var failures []failing
	for _, namespace := range selected {
		t, heard := b.targets[namespace]
		if !heard {
			s.unheard++
			continue
		}
		s.generation = min(s.generation, t.generation)
		if t.current(names, now) {
			s.current++
		}
		for i := range s.registries {
			s.addEntry(i, t.entry(names[i]), now)
		}
		if t.failure != nil {
			s.addFailure(t.failure, namespace+": "+t.failure.Message)
			failures = append(failures, failing{t.failure, t.failingSince, namespace})
		}
	}
	slices.SortStableFunc(failures, func(a, b failing) int { return a.since.Compare(b.since) })
	for _, f := range failures {
		s.group(f.Failure, f.namespace)
	}
	return s
}

// group adds a failing namespace to those of its reason.
func (s *summary) group(f *credential.Failure, namespace string) {
	if f.Reason == v1alpha1.ReasonSecretConflict {
		s.conflicting++
	}
	i := slices.IndexFunc(s.failures, func(g v1alpha1.FailureGroup) bool { return g.Reason == f.Reason })
	if i < 0 && len(s.failures) == maxFailures {
		return
	}
	if i < 0 {
		i = len(s.failures)
		s.failures = append(s.failures, v1alpha1.FailureGroup{Reason: f.Reason, Message: credential.Truncate(f.Message)})
	}
	g := &s.failures[i]
	g.Count++
	if len(g.Namespaces) < maxNamespaces {
		g.Namespaces = append(g.Namespaces, namespace)
	}
}

// maxHosts is how many hosts of an entry a status names.
const maxHosts = 64

func firstHosts(hosts []string) []string { return hosts[:min(len(hosts), maxHosts)] }

func (s *summary) addEntry(i int, e entryStanding, now time.Time) {
	r := &s.registries[i]
	switch {
	case e.expiresAt.IsZero():
	case !e.expiresAt.After(now):
		s.expired = r.Name
	default:
		s.live[i]++
		if e.expiresAt.Equal(providers.Never) {
			break
		}
		if s.nextExpiry.IsZero() || e.expiresAt.Before(s.nextExpiry) {
			s.nextExpiry = e.expiresAt
		}
	}
	r.ExpiresAt = earliest(r.ExpiresAt, e.expiresAt)
	r.RefreshAt = earliest(r.RefreshAt, e.refreshAt)
	if r.Verified == "" || e.verified == metav1.ConditionUnknown {
		r.Verified = e.verified
	}
	if e.failure == nil {
		return
	}
	if r.Reason == "" {
		r.Reason, r.Message = e.failure.Reason, credential.Truncate(e.failure.Message)
	}
	s.addFailure(e.failure, r.Name+": "+e.failure.Message)
}

func (s *summary) addFailure(f *credential.Failure, where string) {
	if s.failing == nil {
		s.failing, s.where = f, where
	}
	if s.stalled == nil && f.Terminal {
		s.stalled = f
	}
}

// fill writes the summary into a status.
func (s *summary) fill(c *credential.Credential, status *v1alpha1.ClusterCredentialStatus) {
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
		status.Failures = s.failures
	}
	if s.unheard == 0 {
		status.ObservedGeneration = s.generation
	}
	ready := s.ready(c)
	ready.ObservedGeneration = c.Object.GetGeneration()
	meta.SetStatusCondition(&status.Conditions, ready)
	if s.stalled == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
		return
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, ObservedGeneration: c.Object.GetGeneration(),
		Reason: s.stalled.Reason, Message: credential.Truncate(s.stalled.Message),
	})
}

func (s *summary) registriesCurrent() int {
	current := 0
	for _, live := range s.live {
		if live == s.selected {
			current++
		}
	}
	return current
}

// ready answers whether pods can pull.
func (s *summary) ready(c *credential.Credential) metav1.Condition {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}
	switch {
	case s.selected == 0:
		ready.Reason, ready.Message = v1alpha1.ReasonNoTargets, "No namespace is selected by namespaceSelector"
	case s.current == s.selected && s.failing == nil:
		ready.Reason, ready.Message = v1alpha1.ReasonCurrent, "Pods can pull from every registry"
	case s.current == s.selected:
		ready.Reason, ready.Message = v1alpha1.ReasonRefreshFailing, "The tokens in use are good, but cannot be refreshed: "+s.where
	default:
		ready.Status = metav1.ConditionFalse
		ready.Reason = v1alpha1.ReasonProgressing
		ready.Message = "Tokens are being minted"
		if s.failing != nil {
			ready.Reason, ready.Message = s.failing.Reason, s.where
		}
		if s.expired != "" {
			ready.Reason, ready.Message = v1alpha1.ReasonExpired, s.expired+": the token has expired; "+ready.Message
		}
		if c.Namespace == "" {
			ready.Message = fmt.Sprintf("%d of %d namespaces cannot pull from every registry: %s", s.selected-s.current, s.selected, ready.Message)
		}
	}
	ready.Message = credential.Truncate(ready.Message)
	return ready
}

// earliest leaves out what never comes.
func earliest(known *metav1.Time, t time.Time) *metav1.Time {
	if t.IsZero() || t.Equal(providers.Never) || known != nil && known.Time.Before(t) {
		return known
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}
