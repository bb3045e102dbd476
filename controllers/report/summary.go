package report

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

// summary is how a credential stands over all its targets.
type summary struct {
	selected, current, conflicting int
	// unheard are the targets that nothing is known of yet. Of those that are not current, waiting have no failure, and ownFault have one
	// that is their namespace's; what is left is the credential's.
	unheard, waiting, ownFault int
	// served is whether any target has held a token, and sound whether one does that has no fault of its own.
	served, sound bool
	// age is how long ago the first target was heard of.
	age time.Duration
	// generation is the oldest that every target has answered, and refresh the refresh request that all of them have.
	generation int64
	refresh    string
	registries []v1alpha1.RegistryStatus
	// live counts, by entry, the targets that hold a live token.
	live     []int
	failures []failureGroup
	// nextExpiry is when the first token that lives will die; expired says which entry's has.
	nextExpiry time.Time
	expired    string
	// failing is the first failure of the credential itself, failingOwn the first of a namespace, and stalled the first that only the spec
	// can mend.
	failing, failingOwn *located
	stalled             *credential.Failure
}

// located is a failure and the words for where it is.
type located struct {
	*credential.Failure
	where string
}

func (l *located) String() string { return l.where + ": " + l.Message }

// sum adds up the targets of a credential.
func (l *Ledger) sum(c *credential.Credential, selected []string, now time.Time) summary {
	b := l.open(c.Key, now)
	defer b.Unlock()
	b.selected, b.summedAt = len(selected), now
	b.forgetRemoved(c)
	s := summary{selected: len(selected), age: now.Sub(b.opened), generation: c.Object.GetGeneration()}
	s.refresh, _ = c.RefreshRequest()
	s.registries, s.live = make([]v1alpha1.RegistryStatus, len(c.Spec.Registries)), make([]int, len(c.Spec.Registries))
	for i, entry := range c.Spec.Registries {
		s.registries[i] = v1alpha1.RegistryStatus{Name: entry.Name, Hosts: firstHosts(b.hostsOf(entry.Name))}
	}
	s.sound = slices.ContainsFunc(selected, func(namespace string) bool { return b.targets[namespace].sound() })
	for _, namespace := range selected {
		if t, heard := b.targets[namespace]; heard {
			s.add(namespace, t, now)
			continue
		}
		s.unheard++
		s.group(notServed, namespace, now, true)
	}
	s.rank()
	return s
}

// notServed is the failure of a target that has neither a token nor a failure: what was not reached counts as failing.
var notServed = &credential.Failure{Reason: v1alpha1.ReasonProgressing, Message: "the namespace has not been served yet"}

// add adds one target.
func (s *summary) add(namespace string, t standing, now time.Time) {
	s.generation = min(s.generation, t.generation)
	if t.refresh != s.refresh {
		s.refresh = ""
	}
	s.served = s.served || t.served()
	broken := false
	for i := range s.registries {
		e := t.entry(s.registries[i].Name)
		s.addEntry(i, e, t, now)
		broken = broken || e.failure != nil || !e.expiresAt.IsZero() && !e.expiresAt.After(now)
	}
	current := t.current(s.registries, now)
	if current {
		s.current++
	}
	switch f := t.failure; {
	case f == nil:
		if !current && !broken {
			s.waiting++
			s.group(notServed, namespace, now, true)
		}
	case f.Terminal:
		s.fail(f, namespace)
		s.group(f, namespace, t.failingSince, !current)
	default:
		if !current {
			s.ownFault++
		}
		if s.failingOwn == nil {
			s.failingOwn = &located{f, namespace}
		}
		s.group(f, namespace, t.failingSince, !current)
	}
}

// maxHosts is how many hosts of an entry a status names.
const maxHosts = 64

func firstHosts(hosts []string) []string { return hosts[:min(len(hosts), maxHosts)] }

func (s *summary) addEntry(i int, e entryStanding, t standing, now time.Time) {
	r := &s.registries[i]
	if e.expiresAt.After(now) {
		s.live[i]++
		if !e.expiresAt.Equal(providers.Never) && (s.nextExpiry.IsZero() || e.expiresAt.Before(s.nextExpiry)) {
			s.nextExpiry = e.expiresAt
		}
	}
	if t.speaks(s.sound) {
		s.show(r, e, now)
	}
	if e.failure == nil {
		return
	}
	if r.Reason == "" || r.Reason == v1alpha1.ReasonOverridden {
		r.Reason, r.Message = e.failure.Reason, credential.Truncate(e.failure.Message)
	}
	s.fail(e.failure, r.Name)
}

// show takes in what a target's record says.
func (s *summary) show(r *v1alpha1.RegistryStatus, e entryStanding, now time.Time) {
	if !e.expiresAt.IsZero() && !e.expiresAt.After(now) {
		s.expired = r.Name + ": the token has expired"
		if !e.overrideUntil.IsZero() {
			s.expired = r.Name + ": the override has ended, and its login stays published until the provider has a token"
		}
	}
	r.ExpiresAt = earliest(r.ExpiresAt, e.expiresAt)
	r.RefreshAt = earliest(r.RefreshAt, e.refreshAt)
	if r.Verified == "" || e.verified == metav1.ConditionUnknown {
		r.Verified = e.verified
	}
	if r.Reason == "" && r.Message == "" {
		r.Message = credential.Truncate(e.unproven)
	}
	if !e.overrideUntil.IsZero() && r.Reason == "" {
		r.Reason, r.Message = v1alpha1.ReasonOverridden, "a login by hand is published instead of the provider's token until "+e.overrideUntil.Format(time.RFC3339)
		if !e.overrideUntil.After(now) {
			r.Message = "the override ended at " + e.overrideUntil.Format(time.RFC3339) + ", and its login stays published until the provider has a token"
		}
	}
}

// fail notes a failure of the credential itself.
func (s *summary) fail(f *credential.Failure, where string) {
	if s.failing == nil {
		s.failing = &located{f, where}
	}
	if s.stalled == nil && f.Terminal {
		s.stalled = f
	}
}

// failureGroup is the targets that fail for one reason.
type failureGroup struct {
	v1alpha1.FailureGroup
	// down counts those whose pods cannot pull, and since is when the first began to fail.
	down  int
	since time.Time
}

func (g failureGroup) String() string {
	return g.Reason + " in " + listed(g.Namespaces, int(g.Count)) + ": " + g.Message
}

const (
	// maxFailures is how many reasons a status tells of, and maxNamespaces how many namespaces of each.
	maxFailures   = 10
	maxNamespaces = 5
)

// group adds a target to those that fail for the same reason.
func (s *summary) group(f *credential.Failure, namespace string, since time.Time, down bool) {
	if f.Reason == v1alpha1.ReasonSecretConflict {
		s.conflicting++
	}
	i := slices.IndexFunc(s.failures, func(g failureGroup) bool { return g.Reason == f.Reason })
	if i < 0 {
		i = len(s.failures)
		s.failures = append(s.failures, failureGroup{since: since, FailureGroup: v1alpha1.FailureGroup{
			Reason: f.Reason, Message: credential.Truncate(f.Message)}})
	}
	g := &s.failures[i]
	g.Count++
	if down {
		g.down++
	}
	if since.Before(g.since) {
		g.since = since
	}
	if len(g.Namespaces) < maxNamespaces {
		g.Namespaces = append(g.Namespaces, namespace)
	}
}

// rank puts the most severe reasons first: those that keep the most namespaces from pulling, then the most frequent, then the oldest.
func (s *summary) rank() {
	slices.SortFunc(s.failures, func(a, b failureGroup) int {
		return cmp.Or(cmp.Compare(b.down, a.down), cmp.Compare(b.Count, a.Count), a.since.Compare(b.since), cmp.Compare(a.Reason, b.Reason))
	})
	s.failures = s.failures[:min(len(s.failures), maxFailures)]
}

// earliest leaves out what never comes.
func earliest(known *metav1.Time, t time.Time) *metav1.Time {
	if t.IsZero() || t.Equal(providers.Never) || known != nil && !t.Before(known.Time) {
		return known
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}
