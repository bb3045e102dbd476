// Package link makes ServiceAccounts name the Secrets of credentials, and knows nothing else.
package link

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
	"github.com/regcred/regcred/internal/contention"
	"github.com/regcred/regcred/internal/expiring"
)

// Wishes are what is wanted of the ServiceAccounts of a target's namespace.
type Wishes struct {
	// Wanted is who wants a ServiceAccount to name the target's Secret: the target itself, another of the same Secret, or nobody.
	Wanted func(sa metav1.Object) (*credential.Target, error)
	// Dead says whether nobody wants a recorded link any more, whatever the ServiceAccount.
	Dead func(credential.Target) bool
}

// API is where ServiceAccounts are read and written.
type API struct {
	// Accounts are the ServiceAccounts of a namespace, as the cache shows them: shared and read-only.
	Accounts func(ctx context.Context, namespace string) ([]*corev1.ServiceAccount, error)
	// Live reads past the cache.
	Live client.Reader
	// Client writes.
	Client client.Client
}

// Linker makes and removes links, and remembers which of them somebody else changes again and again.
type Linker struct {
	clock   clock.PassiveClock
	repairs *contention.Budget[place]
	// underway are the ServiceAccounts that are being changed, and written the resource versions that our last changes got.
	underway sync.Map
	written  *apiserver.Writes[client.ObjectKey]
	// outages are the ServiceAccounts whose changes were not answered, as with a webhook that hangs or fails.
	outages *expiring.Map[client.ObjectKey, outage]
	// crowds are how many more changes each namespace may have that has more ServiceAccounts than repairs can be remembered of.
	crowds *expiring.Map[string, *rate.Limiter]
}

const (
	// firstOutage doubles with each request that is not answered, up to credential.RetryAfter.
	firstOutage = 5 * time.Second
	// soon is when those that come after a request without an answer have their turn: the token does not wait for them.
	soon = time.Second
)

// place is the link of a target on a ServiceAccount; without a target's name, all dead links on it.
type place struct {
	credential.Target
	account string
}

// maxPlaces bounds the links, and the ServiceAccounts, that anything is remembered about, and placesOfNamespace those of one namespace.
const (
	maxPlaces         = 4096
	placesOfNamespace = maxPlaces / 4
)

const (
	// crowdAtOnce are the changes in a crowded namespace in crowdPeriod, and crowdWait is when those that come on top are looked at again.
	crowdAtOnce = maxPlaces
	crowdPeriod = 10 * time.Minute
	crowdWait   = time.Minute
)

func ofAccount[V any](key client.ObjectKey, _ V) (namespace string) { return key.Namespace }

// New returns a Linker that remembers nothing yet.
func New(c clock.PassiveClock) *Linker {
	return &Linker{
		clock: c, repairs: contention.New(c, maxPlaces, placesOfNamespace, func(p place) string { return p.Namespace }),
		written: apiserver.NewWrites(c, maxPlaces, placesOfNamespace, func(account client.ObjectKey) string { return account.Namespace }),
		outages: expiring.Shared(c, 2*credential.RetryAfter, maxPlaces, placesOfNamespace, ofAccount[outage]),
		crowds:  expiring.New[string, *rate.Limiter](c, crowdPeriod, maxPlaces),
	}
}

// Outcome is how the links of a target stand.
type Outcome struct {
	// Done is what was changed.
	Done Changes
	// Failure is why a ServiceAccount could not be changed; nil if all could.
	Failure *credential.Failure
	// Unlinked means that pods are created without the Secret, whatever is in it.
	Unlinked bool
}

// Sync makes the ServiceAccounts of a target's namespace name its Secret, or not, as is wished.
//
// imagePullSecrets is an atomic list that others write too: it is read, appended to and patched under its resourceVersion, never
// applied and never reordered. A link that we made is recorded on the ServiceAccount; only such a link is ever removed.
//
// A ServiceAccount that could not be changed is a failure, and holds up none of the others, unless the API server does not answer: then
// it is left alone for a while, and the others have their turn soon, so that the token waits for one such request at most. A conflict is
// returned as the error: it has changed since the cache saw it, and not every change of it is an event for us.
func (l *Linker) Sync(ctx context.Context, api API, t credential.Target, w Wishes) (out Outcome, lost error) {
	accounts, err := api.Accounts(ctx, t.Namespace)
	if err != nil {
		return out, err
	}
	for _, sa := range accounts {
		by, err := w.Wanted(sa)
		if err != nil {
			return out, err
		}
		change, failure, err := l.one(ctx, api, t, sa, by, w.Dead, len(accounts) > placesOfNamespace)
		out.Done.Add(change)
		switch {
		case err != nil && apierrors.IsConflict(err):
			lost = err
		case err != nil:
			out.Unlinked = out.Unlinked || by != nil
			return out, err
		case failure != nil:
			out.Unlinked = out.Unlinked || by != nil
			out.Failure = first(out.Failure, failure)
		}
		if failure != nil && failure.RetryAfter == soon {
			break
		}
	}
	return out, lost
}

// first is the failure that is looked at again first: its time must not be missed.
func first(a, b *credential.Failure) *credential.Failure {
	if a == nil || b.RetryAfter < a.RetryAfter {
		return b
	}
	return a
}

// one does to a ServiceAccount what is wished of it.
func (l *Linker) one(ctx context.Context, api API, t credential.Target, sa *corev1.ServiceAccount, by *credential.Target, dead func(credential.Target) bool, crowded bool) (
	change Changes, failure *credential.Failure, err error,
) {
	name := client.ObjectKeyFromObject(sa)
	if by != nil && credential.Cut(sa) {
		return change, failed("ServiceAccount " + name.String() + " lists too many imagePullSecrets to be changed: remove those that are not used"), nil
	}
	at := place{t, sa.Name}
	patch := patchFor(t, sa, by)
	if patch != nil && by == nil && dead(t) {
		at.Target = credential.Target{Namespace: t.Namespace}
		if patch, err = removeDead(ctx, api.Live, t, sa, dead); err != nil {
			return change, nil, err
		}
	}
	if patch == nil {
		return change, nil, nil
	}
	if wait, rival := l.repairs.Wait(at); wait > 0 {
		return change, contended(t, name, rival, wait), nil
	}
	if down, ok := l.outages.Get(name); ok && down.until.After(l.clock.Now()) {
		f := *down.failure
		f.RetryAfter = down.until.Sub(l.clock.Now())
		return change, &f, nil
	}
	if crowded && !l.crowdBears(t.Namespace) {
		return change, crowdedOut(t.Namespace), nil
	}
	rival := ""
	if l.repairs.Recent(at) { // who it is shows before our own change alone
		if rival, err = rivalOn(ctx, api.Live, name); err != nil {
			return change, nil, err
		}
	}
	if err := l.send(ctx, api, patch, sa); err != nil {
		failure, err = l.refused(ctx, name, err)
		return change, failure, err
	}
	l.outages.Delete(name)
	l.repairs.Spend(at, rival)
	return patch.change, nil, nil
}

// send changes a ServiceAccount, unless that would be a conflict for sure: many credentials may link one ServiceAccount, and each sees the same
// version of it.
func (l *Linker) send(ctx context.Context, api API, patch *serviceAccountPatch, sa *corev1.ServiceAccount) error {
	name := client.ObjectKeyFromObject(sa)
	if _, busy := l.underway.LoadOrStore(name, struct{}{}); busy {
		return apierrors.NewConflict(corev1.Resource("serviceaccounts"), name.Name, errChanging)
	}
	defer l.underway.Delete(name)
	if l.written.Behind(name, sa.ResourceVersion) {
		return apierrors.NewConflict(corev1.Resource("serviceaccounts"), name.Name, errChanging)
	}
	version, err := patch.send(ctx, api.Client, name)
	if err == nil {
		l.written.Put(name, version)
	}
	return err
}

var errChanging = errors.New("it is being changed for another credential")

// removeDead removes all dead links of a ServiceAccount in one patch. It is done for the first of them, and for the others there is nothing to do.
func removeDead(ctx context.Context, live client.Reader, t credential.Target, sa *corev1.ServiceAccount, dead func(credential.Target) bool) (*serviceAccountPatch, error) {
	buried := func(sa *corev1.ServiceAccount) []credential.Target {
		all := slices.DeleteFunc(credential.Linked(sa), func(t credential.Target) bool { return !dead(t) })
		slices.SortFunc(all, func(a, b credential.Target) int { return cmp.Compare(a.Name, b.Name) })
		return all
	}
	switch all := buried(sa); {
	case all[0] != t:
		return nil, nil
	case !credential.Crowded(sa):
		return removal(sa, all...), nil
	}
	whole, err := read(ctx, live, client.ObjectKeyFromObject(sa))
	if err != nil || whole == nil {
		return nil, err
	}
	return removal(whole, buried(whole)...), nil
}
