package report

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
)

// standing is how one target stands.
type standing struct {
	// generation and refresh are the last spec and refresh request that the target has answered, be it by a failure.
	generation int64
	refresh    string
	entries    []entryStanding
	failure    *credential.Failure
	// unlinked is whether the target's ServiceAccounts lack its Secret.
	unlinked bool
	// failingSince is when failure appeared.
	failingSince time.Time
	// pending is whether an entry waits for a call that is under way.
	pending bool
	// deferred is whether the refresh request waits for its turn.
	deferred bool
	// retained is whether the Secret would outlive the credential.
	retained bool
}

type entryStanding struct {
	name                 string
	expiresAt, refreshAt time.Time
	issuedAt             time.Time
	hosts                hosts
	// overrideUntil is the end of the override whose login is published; zero if a provider's token is.
	overrideUntil time.Time
	verified      metav1.ConditionStatus
	unproven      string
	failure       *credential.Failure
}

func (b *book) stand(out target.Outcome, before standing, now time.Time) standing {
	s := standing{failure: out.Failure, unlinked: out.Unlinked, retained: out.Retained, entries: make([]entryStanding, len(out.Entries))}
	if s.failure != nil {
		s.failingSince = now
		if before.failure != nil && before.failure.Reason == s.failure.Reason {
			s.failingSince = before.failingSince
		}
	}
	for i, e := range out.Entries {
		stands := entryStanding{name: e.Name, failure: e.Failure}
		if e.Pending() || e.Withheld {
			// A call under way mends nothing yet.
			stands.failure = before.entry(e.Name).failure
		}
		s.pending, s.deferred = s.pending || e.Pending(), s.deferred || e.Deferred()
		if e.Known && (e.Fresh || e.Cause != target.CauseRefused && !out.Uncompared) { // a token that was refused is none
			stands.expiresAt, stands.refreshAt, stands.verified = e.Record.ExpiresAt, e.DueAt, e.Record.Verified
			stands.issuedAt, stands.overrideUntil, stands.unproven = e.Record.IssuedAt, e.OverrideUntil, e.Unproven
			stands.hosts = hostsOf(e)
			if e.Fresh {
				b.minted[e.Name] = minted{stands.hosts, e.Record.IssuedAt}
			}
		}
		s.entries[i] = stands
	}
	return s
}

// answer notes which spec and which refresh request the target has answered: those of now unless a call is under way, or is to come.
func (s *standing) answer(c *credential.Credential, before standing) {
	s.generation = c.Object.GetGeneration()
	s.refresh, _ = c.RefreshRequest()
	if s.pending {
		s.generation = before.generation
	}
	if s.pending || s.deferred {
		s.refresh = before.refresh
	}
}

// entry returns how an entry stands; the zero value if the target does not know it.
func (s standing) entry(name string) entryStanding {
	for _, e := range s.entries {
		if e.name == name {
			return e
		}
	}
	return entryStanding{}
}

func (s standing) equal(other standing) bool {
	if s.unlinked != other.unlinked || s.generation != other.generation || s.refresh != other.refresh || !sameFailure(s.failure, other.failure) || len(s.entries) != len(other.entries) {
		return false
	}
	for i, e := range s.entries {
		o := other.entries[i]
		if e.name != o.name || !e.overrideUntil.Equal(o.overrideUntil) || !e.expiresAt.Equal(o.expiresAt) || !e.refreshAt.Equal(o.refreshAt) ||
			e.verified != o.verified || e.unproven != o.unproven || !sameFailure(e.failure, o.failure) {
			return false
		}
	}
	return true
}

func sameFailure(a, b *credential.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Reason == b.Reason && a.Message == b.Message && a.Terminal == b.Terminal
}

// current says whether pods of the target's namespace can pull from every registry. A write that fails takes nothing from the
// tokens that are there; a link that fails leaves pods without them.
func (s standing) current(registries []v1alpha1.RegistryStatus, now time.Time) bool {
	for _, r := range registries {
		if !s.entry(r.Name).expiresAt.After(now) {
			return false
		}
	}
	return !s.unlinked
}

// served says whether the target has held a token.
func (s standing) served() bool {
	return slices.ContainsFunc(s.entries, func(e entryStanding) bool { return !e.expiresAt.IsZero() })
}

// atFault says whether the target fails by what is in its namespace.
func (s standing) atFault() bool { return s.failure != nil && !s.failure.Terminal }

// sound says whether the target has held a token and has no fault of its own.
func (s standing) sound() bool { return !s.atFault() && s.served() }

// speaks says whether the target's times are the credential's: those of a Secret that is in the way, or may not be written, are not, as long as
// another is sound.
func (s standing) speaks(anySound bool) bool { return !anySound || !s.atFault() }
