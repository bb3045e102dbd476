package target

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
)

// maxNamespaces bounds the namespaces whose credentials are remembered for a second.
const maxNamespaces = 4096

// Publication is what a credential has brought into a namespace, or is to bring.
type Publication struct {
	Credential *credential.Credential
	Target     credential.Target
	// Records are what its Secret says of each entry; none if Regcred did not write that.
	Records map[string]pullsecret.Record
	// Failure is why an entry has no new token; nil if nothing is known.
	Failure func(entry string) *credential.Failure
}

// In returns the publications of a namespace. It asks the cache alone.
func (r *Reconciler) In(ctx context.Context, namespace string) ([]Publication, error) {
	credentials, err := r.recentSelectors(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var all []Publication
	for _, c := range credentials {
		p := Publication{Credential: c, Target: c.Target(namespace)}
		p.Failure = func(entry string) *credential.Failure { return r.Outcomes.Failure(p.Target, entry) }
		secret, err := view.Secret(ctx, r.Cache, p.Target)
		if err != nil {
			return nil, err
		}
		p.Records = r.observe(c, secret).Records
		all = append(all, p)
	}
	return all, nil
}

// recentSelectors are the selectors of a namespace as they were in the last second, however much fails there.
func (r *Reconciler) recentSelectors(ctx context.Context, namespace string) ([]*credential.Credential, error) {
	if known, ok := r.selected.Get(namespace); ok {
		return known, nil
	}
	found, err := r.selectors(ctx, namespace)
	if err == nil {
		r.selected.Put(namespace, found)
	}
	return found, err
}

// Request is what the token of an entry is made from.
func (r *Reconciler) Request(ctx context.Context, c *credential.Credential, entry v1alpha1.Registry) (providers.Request, error) {
	return r.request(ctx, c, &entry)
}

// Login is what a publication's Secret holds for the image whose host covers says yes to: from memory if that is what was written there, or
// else from the Secret, under key. Where it may be shown is not asked of the Secret's annotations, which others may write, but of what was minted or of the
// Secret's content.
func (r *Reconciler) Login(ctx context.Context, p Publication, req providers.Request, key string, covers func(host string) bool) (providers.Login, error) {
	record := p.Records[req.Registry.Name]
	token, ok := r.Tokens.InMemory(req)
	if ok && record.Source == req.Source() && token.IssuedAt.Equal(record.IssuedAt) {
		for _, l := range token.Logins {
			if slices.ContainsFunc(l.Hosts, covers) {
				return l, nil
			}
		}
	}
	secret, err := view.Secret(ctx, r.Live, p.Target)
	if err != nil {
		return providers.Login{}, err
	}
	o := r.observe(p.Credential, secret)
	if o.Records == nil {
		return providers.Login{}, errChanged
	}
	content, err := r.readBack(ctx, p.Target, o)
	if err != nil {
		return providers.Login{}, err
	}
	return content.Login(key)
}

var errChanged = providers.Errorf(v1alpha1.ReasonInternal, "the Secret has changed just now")

// WakeOne brings back the target of a publication.
func (r *Reconciler) WakeOne(p Publication) { r.Wake(p.Target, 0) }

// WakeAll brings back all targets that the credential has or had.
func (r *Reconciler) WakeAll(ctx context.Context, c *credential.Credential) {
	targets, err := view.Targets(ctx, r.Cache, c.Object)
	if err != nil {
		log.FromContext(ctx).Error(err, "Reading the cache failed")
	}
	for _, t := range targets {
		r.Wake(t, -1) // after what one of them alone has to do
	}
}

const (
	// condemnedFor and maxCondemned bound the refused tokens of single Secrets that are remembered: by then each has another, or failed.
	condemnedFor = time.Hour
	maxCondemned = 4096
)

// condemned is the part of one entry in one Secret.
type condemned struct {
	target credential.Target
	entry  string
}

// Condemn has the token of an entry in one Secret replaced, as a registry has refused it: by the one in memory, or else by a new one.
func (r *Reconciler) Condemn(p Publication, entry string) {
	r.condemned.Put(condemned{p.Target, entry}, p.Records[entry].IssuedAt)
	r.Wake(p.Target, 0)
}

// refusedIssuedAt is the issue time of the newest token that a registry has refused, to everybody or in this Secret.
func (r *Reconciler) refusedIssuedAt(t credential.Target, req providers.Request) time.Time {
	of := r.Tokens.RefusedIssuedAt(req)
	if here, ok := r.condemned.Get(condemned{t, req.Registry.Name}); ok && here.After(of) {
		return here
	}
	return of
}
