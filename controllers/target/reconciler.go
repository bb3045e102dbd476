// Package target keeps one Secret in one namespace: one straight line from an event to a Secret.
package target

import (
	"time"
	"weak"

	"golang.org/x/sync/singleflight"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
	"github.com/regcred/regcred/internal/contention"
	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/internal/inflight"
	"github.com/regcred/regcred/providers"
)

// Tokens is where tokens come from.
type Tokens interface {
	// Token returns a live token that was minted later than newerThan and after the refresh request of req, or a *providers.PendingError,
	// and wakes w once when there is news.
	Token(req providers.Request, newerThan time.Time, w providers.Waiter) (providers.Token, error)
	// Ready says whether Token would return a token now.
	Ready(req providers.Request, newerThan time.Time) bool
	// InMemory returns the live token from the source of req that is in memory.
	InMemory(req providers.Request) (providers.Token, bool)
	// RefusedIssuedAt is the issue time of the newest token that a registry has refused; the zero time if none was.
	RefusedIssuedAt(req providers.Request) time.Time
	// SetSources says which sources a credential names from now on.
	SetSources(owner providers.Owner, sources []string)
	// Suspend has no call made for what only suspended credentials name, until SetSources says again what this one does.
	Suspend(owner providers.Owner)
	// Annotations are the keys of a ServiceAccount's annotations that a token of the entry may depend on; empty if it depends on none.
	Annotations(entry *v1alpha1.Registry) []string
	// Hosts are the hosts that a token of the entry is for; empty if only a token can tell.
	Hosts(entry *v1alpha1.Registry) []string
	// Spare lets a token live to its end.
	Spare(name providers.TokenName)
}

// Config is what a Reconciler works with.
type Config struct {
	// Cache reads what package view holds.
	Cache client.Reader
	// Live reads past the cache, in the few cases where a Secret's content or a foreign Secret must be looked at.
	Live client.Reader
	// Client writes.
	Client client.Client
	// Tokens mints and remembers tokens.
	Tokens Tokens
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Namespace is the controller's own; identities of ClusterRegistryCredentials are read there.
	Namespace string
	// Excluded namespaces never hold a target.
	Excluded view.Excluded
	// Scope is what may be read and written.
	Scope view.Scope
	// AllowAmbientIdentity lets a RegistryCredential use the controller's own identity.
	AllowAmbientIdentity bool
	// Wake brings a target back; a higher priority goes first.
	Wake func(t credential.Target, priority int)
	// Outcomes takes the outcome of every reconcile.
	Outcomes Outcomes
	// Released is told of a token that no Secret holds any more; nil for nobody.
	Released func(token providers.TokenName)
}

// Reconciler brings one Secret in one namespace to what its credential says.
type Reconciler struct {
	Config

	// identities are the Secrets that entries name, and that are missing or no identities.
	identities *expiring.Map[client.ObjectKey, noIdentity]
	// sources are those of entries, as they were worked out.
	sources *expiring.Map[hashed, string]
	// written are the resource versions of our own last writes, until the cache shows them.
	written *apiserver.Writes[credential.Target]
	// auths are what tokens look like in a Secret.
	auths *expiring.Map[weak.Pointer[providers.Login], pullsecret.Auths]
	// seals are what the Secrets were when we wrote them, and comparisons limits the reads that find out whether they still are.
	seals       *seals
	comparisons *contention.Budget[credential.Target]
	// identityHashes stand for the data of Secrets with our label, as it was read last, and reading are the requests for it.
	identityHashes *expiring.Map[client.ObjectKey, identityHash]
	reading        singleflight.Group
	// condemned are the tokens that a registry has refused in one Secret.
	condemned *expiring.Map[condemned, time.Time]
	// selected are the credentials of namespaces, as they were lately.
	selected *expiring.Map[string, []*credential.Credential]
	// absent are Secrets that were not there when the API server was asked, conflicts those that are not ours, and repairs those that somebody
	// else changes again and again.
	absent    *expiring.Map[credential.Target, struct{}]
	conflicts *expiring.Map[credential.Target, knownConflict]
	repairs   *contention.Budget[credential.Target]
	// outruns counts how often in a row a Secret was changed before it could be written.
	outruns *expiring.Map[credential.Target, int]
	links   *link.Linker
	// goneCredentials says of credentials whether they are no more though the cache shows them.
	goneCredentials *expiring.Map[incarnation, bool]
	// holders are the Secrets that hold tokens which can be revoked.
	holders *holders
	// reads and writes bound the content of Secrets that is on its way.
	reads, writes *inflight.Budget
	// inspected are the Secrets of suspended credentials that are not in the cache, as they were found.
	inspected *expiring.Map[credential.Target, inspection]
}

const (
	// maxWritten bounds our own writes that the cache may not show yet.
	maxWritten = 1 << 16
	// goneFor is how long it is believed that a credential is there, or is no more.
	goneFor = 10 * time.Second
	// inspectedFor is how long a Secret may be there before it is noticed that a suspended credential would meet it.
	inspectedFor = 30 * time.Minute
	// sourcesFor is how long the source of an entry is remembered.
	sourcesFor = 10 * time.Minute
	// maxIdentities bounds the identities that are remembered.
	maxIdentities = 4096
)

// shares is how many namespaces it takes to fill what all of them share.
const shares = 4

func ofTarget[V any](t credential.Target, _ V) (namespace string) { return t.Namespace }

// secretOwner counts the Secrets of the controller's own namespace, which cluster credentials name, to nobody.
func secretOwner[V any](own string) func(client.ObjectKey, V) (namespace string) {
	return func(key client.ObjectKey, _ V) string {
		if key.Namespace == own {
			return ""
		}
		return key.Namespace
	}
}

func newBudget(c clock.PassiveClock) *contention.Budget[credential.Target] {
	return contention.New(c, maxTargets, maxTargets/shares, func(t credential.Target) string { return t.Namespace })
}

// New returns a Reconciler that remembers nothing yet.
func New(c Config) *Reconciler {
	if c.Released == nil {
		c.Released = func(providers.TokenName) {}
	}
	c.Client = newWary(c.Client, c.Clock)
	return &Reconciler{
		Config:          c,
		identities:      expiring.Shared(c.Clock, missingSecret, maxIdentities, maxIdentities/shares, secretOwner[noIdentity](c.Namespace)),
		sources:         expiring.Shared(c.Clock, sourcesFor, maxIdentities, maxIdentities/shares, func(of hashed, _ string) string { return of.tenant }),
		written:         apiserver.NewWrites(c.Clock, maxWritten, maxWritten/shares, func(t credential.Target) string { return t.Namespace }),
		inspected:       expiring.Shared(c.Clock, inspectedFor, maxWritten, maxWritten/shares, ofTarget[inspection]),
		identityHashes:  expiring.Shared(c.Clock, identityHashFor, maxIdentities, maxIdentities/shares, secretOwner[identityHash](c.Namespace)),
		condemned:       expiring.Shared(c.Clock, condemnedFor, maxCondemned, maxCondemned/shares, func(at condemned, _ time.Time) string { return at.target.Namespace }),
		auths:           expiring.New[weak.Pointer[providers.Login], pullsecret.Auths](c.Clock, authsFor, maxAuths),
		selected:        expiring.New[string, []*credential.Credential](c.Clock, time.Second, maxNamespaces),
		absent:          expiring.Shared(c.Clock, absentFor, maxTargets, maxTargets/shares, ofTarget[struct{}]),
		conflicts:       expiring.Shared(c.Clock, 2*maxConflictWait, maxTargets, maxTargets/shares, ofTarget[knownConflict]),
		repairs:         newBudget(c.Clock),
		outruns:         expiring.Shared(c.Clock, outrunFor, maxTargets, maxTargets/shares, ofTarget[int]),
		links:           link.New(c.Clock),
		holders:         newHolders(maxTargets, targetsOfTenant, c.Released),
		reads:           inflight.New(bytesAtOnce, bytesOfTenant),
		writes:          inflight.New(bytesAtOnce, bytesOfTenant),
		goneCredentials: expiring.Shared(c.Clock, goneFor, maxIdentities, maxIdentities/shares, func(i incarnation, _ bool) string { return i.Namespace }),
		seals:           newSeals(maxTargets, targetsOfTenant),
		comparisons:     newBudget(c.Clock),
	}
}

// Forget drops what is remembered of a target that is served no longer, or whose namespace was deleted: a namesake starts anew.
func (r *Reconciler) Forget(t credential.Target) {
	r.forget(t)
	r.Outcomes.Forget(t)
}

func (r *Reconciler) forget(t credential.Target) {
	r.written.Forget(t)
	r.seals.delete(t)
	r.absent.Delete(t)
	r.conflicts.Delete(t)
	r.outruns.Delete(t)
	r.inspected.Delete(t)
}

// cacheBehind says whether the cache does not show our last write of the Secret yet.
func (r *Reconciler) cacheBehind(t credential.Target, secret *metav1.PartialObjectMetadata) bool {
	if secret == nil {
		return r.written.Behind(t, "")
	}
	return r.written.Behind(t, secret.ResourceVersion)
}

// Deleted stops expecting a write of ours in the cache when the Secret is deleted, and lets go of the tokens in it.
func (r *Reconciler) Deleted(secret client.Object) {
	r.holders.put(client.ObjectKeyFromObject(secret), "", nil)
	if t, ok := credential.TargetOf(secret); ok {
		r.written.Forget(t)
		r.seals.deleted(t)
	}
}
