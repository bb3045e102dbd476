package controllers

import (
	"context"
	"errors"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// secrets finds the targets that a Secret concerns without being one of them: those whose identity or login by hand it is, and those
// that wait for its name. For that all credentials of its namespace are looked through; so workers do it that serve namespaces in turn, as for
// ServiceAccounts.
type secrets struct {
	mapping
	scope view.Scope
	wake  func(t credential.Target, priority int)
	// content stands for what a Secret holds; empty if that is not known.
	content func(context.Context, client.ObjectKey) string
	told    told
}

// secretEvent is that a Secret may have changed what is minted with it, or that it is gone.
type secretEvent struct {
	client.ObjectKey
	gone bool
}

func setupSecrets(mgr ctrl.Manager, o Options, s secrets) error {
	b := builder.TypedControllerManagedBy[secretEvent](mgr).Named("secret")
	for _, c := range o.View.SecretCaches() {
		b = b.WatchesRawSource(source.TypedKind[client.Object](c, view.SecretMetadata(), secretEvents))
	}
	return b.WithOptions(inTurn(accountWorkers, func(e secretEvent) string { return e.Namespace })).
		WithLogConstructor(logger(mgr, func(e secretEvent) []any { return []any{"secret", e.String()} })).
		Complete(s)
}

type secretQueue = workqueue.TypedRateLimitingInterface[secretEvent]

// secretEvents asks nobody: the events of all namespaces pass here, one after the other. Of what is there at the start the credentials tell.
var secretEvents = handler.TypedFuncs[client.Object, secretEvent]{
	CreateFunc: func(_ context.Context, e event.CreateEvent, q secretQueue) {
		if !e.IsInInitialList && isIdentity(e.Object) {
			q.Add(secretEvent{ObjectKey: client.ObjectKeyFromObject(e.Object)})
		}
	},
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, q secretQueue) {
		if isIdentity(e.ObjectOld) || isIdentity(e.ObjectNew) {
			q.Add(secretEvent{ObjectKey: client.ObjectKeyFromObject(e.ObjectNew)})
		}
	},
	DeleteFunc: func(_ context.Context, e event.DeleteEvent, q secretQueue) {
		q.Add(secretEvent{ObjectKey: client.ObjectKeyFromObject(e.Object), gone: true})
	},
}

func isIdentity(secret client.Object) bool {
	return secret.GetLabels()[v1alpha1.LabelSecret] == v1alpha1.LabelSecretIdentity
}

// Reconcile wakes the targets that the Secret concerns.
func (s secrets) Reconcile(ctx context.Context, e secretEvent) (reconcile.Result, error) {
	credentials, err := view.Credentials(ctx, s.cache, e.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	targets, err := s.using(ctx, credentials, e.ObjectKey, credential.WithSecret)
	content, many := "", e.Namespace == s.namespace && len(targets) > 0
	if many && !e.gone {
		content = s.content(ctx, e.ObjectKey)
	}
	if many && s.told.of(e.ObjectKey, content) {
		return reconcile.Result{}, err
	}
	if e.gone {
		waiting, failed := s.wanting(ctx, credentials, e.ObjectKey)
		targets, err = append(targets, waiting...), errors.Join(err, failed)
	}
	priority := 0
	if crowded(targets) {
		priority = crowd
	}
	for _, t := range targets {
		if s.scope.Serves(t.Credential) {
			s.wake(t, priority)
		}
	}
	if many && err == nil {
		s.told.note(e.ObjectKey, content)
	}
	return reconcile.Result{}, err // then all of them are woken again
}

// wanting are the targets that wait for a Secret of this name and namespace to be theirs.
func (m mapping) wanting(ctx context.Context, credentials []*credential.Credential, secret client.ObjectKey) ([]credential.Target, error) {
	ns, err := view.Namespace(ctx, m.cache, secret.Namespace)
	if err != nil || ns == nil {
		return nil, err
	}
	var targets []credential.Target
	for _, c := range credentials {
		if c.SecretName() == secret.Name && c.Selects(ns) {
			targets = append(targets, c.Target(ns.GetName()))
		}
	}
	return targets, nil
}
