package target

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

// selectors are the credentials whose Secret belongs into a namespace.
func (r *Reconciler) selectors(ctx context.Context, namespace string) ([]*credential.Credential, error) {
	ns, err := view.Namespace(ctx, r.Cache, namespace)
	if err != nil || ns == nil || r.Excluded.Has(namespace) {
		return nil, err
	}
	all, err := view.Credentials(ctx, r.Cache, namespace)
	return slices.DeleteFunc(all, func(c *credential.Credential) bool {
		return !c.Object.GetDeletionTimestamp().IsZero() || !c.Selects(ns)
	}), err
}

// rivals says whether another credential wants the target's Secret.
func rivals(t credential.Target, c *credential.Credential) bool {
	return c.Key != t.Credential && c.SecretName() == t.Name
}

// yield says why a Secret that is not there is another credential's to make: the older one's.
func (r *Reconciler) yield(ctx context.Context, t credential.Target, c *credential.Credential) (*credential.Failure, error) {
	all, err := r.selectors(ctx, t.Namespace)
	if err != nil {
		return nil, err
	}
	for _, rival := range all {
		if rivals(t, rival) && rival.Before(c) {
			return &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, RetryAfter: credential.RetryAfter, Message: fmt.Sprintf(
				"Secret %s is that of %s, which came first: create one of the two anew with another secretName", t.Secret(), rival)}, nil
		}
	}
	return nil, nil
}

func (r *Reconciler) api() link.API {
	return link.API{Live: r.Live, Client: r.Client, Accounts: func(ctx context.Context, namespace string) ([]*corev1.ServiceAccount, error) {
		return view.ServiceAccounts(ctx, r.Cache, namespace)
	}}
}

// wishes are what is wanted of the ServiceAccounts of a target whose credential is c; nil if that is gone, or no longer selects the namespace.
func (r *Reconciler) wishes(ctx context.Context, t credential.Target, c *credential.Credential) link.Wishes {
	w := &wisher{Reconciler: r, ctx: ctx, target: t, credential: c}
	w.namespace, w.unread = view.Namespace(ctx, r.Cache, t.Namespace)
	return link.Wishes{Wanted: w.wanted, Dead: w.dead}
}

// wisher answers for one target what its ServiceAccounts are to name.
type wisher struct {
	*Reconciler
	ctx        context.Context
	target     credential.Target
	credential *credential.Credential
	// namespace is the target's; nil if there is none, or if it could not be read.
	namespace client.Object
	unread    error
	// of are the selectors of the namespace and the names of their Secrets, once that was asked: each of its ServiceAccounts may ask.
	of *selection
}

// selection is what selects a namespace.
type selection struct {
	credentials []*credential.Credential
	secrets     sets.Set[string]
	err         error
}

func (w *wisher) selection() *selection {
	if w.of == nil {
		w.of = &selection{secrets: sets.Set[string]{}}
		w.of.credentials, w.of.err = w.selectors(w.ctx, w.target.Namespace)
		for _, c := range w.of.credentials {
			w.of.secrets.Insert(c.SecretName())
		}
	}
	return w.of
}

// wanted says who wants the link of the target. What a rival wants, too, passes to it.
func (w *wisher) wanted(sa metav1.Object) (*credential.Target, error) {
	if w.unread != nil || w.namespace == nil || credential.LeftAlone(w.namespace) || credential.LeftAlone(sa) {
		return nil, w.unread
	}
	if w.credential != nil && w.credential.Links(sa) {
		return &w.target, nil
	}
	if !credential.Recorded(sa, w.target) {
		return nil, nil
	}
	of := w.selection()
	if of.err != nil {
		return nil, of.err
	}
	for _, c := range of.credentials {
		if rivals(w.target, c) && c.Links(sa) {
			return new(c.Target(w.target.Namespace)), nil
		}
	}
	return nil, nil
}

// dead says whether nobody wants a link that is recorded in the namespace: its credential is gone, or keeps a Secret of
// another name, and no other wants theirs. What is retained stays.
func (w *wisher) dead(t credential.Target) bool {
	if of := w.selection(); of.err != nil || of.secrets.Has(t.Name) || !w.Scope.MayWrite(t) {
		return false
	}
	c, err := credential.Get(w.ctx, w.Cache, t.Credential)
	if err != nil || c != nil && c.SecretName() == t.Name {
		return false
	}
	secret, err := view.Secret(w.ctx, w.Cache, t)
	return err == nil && (c != nil || !retainedFor(t, secret))
}

// retainedFor says whether the Secret stays with its links when the target's credential is gone.
func retainedFor(t credential.Target, secret *metav1.PartialObjectMetadata) bool {
	return retained(secret) && keptFor(t, secret)
}

// retained says whether there is a Secret that outlives its credential.
func retained(secret *metav1.PartialObjectMetadata) bool {
	return secret != nil && pullsecret.Retained(secret)
}
