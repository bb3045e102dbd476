package controllers

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/wake"
)

// accounts finds the targets that a changed ServiceAccount concerns. A namespace may have thousands of ServiceAccounts and of credentials that link
// them; so that is worked out by workers that serve namespaces in turn, and not where the events of all namespaces come one after the other.
type accounts struct {
	mapping
	scope view.Scope
	// fails says whether something is wrong with a target, which the change may have mended.
	fails func(credential.Target) bool
	wake  func(t credential.Target, priority int)
	told  told
}

// accountWorkers bounds the ServiceAccounts that are looked at in parallel.
const accountWorkers = 2

func setupAccounts(mgr ctrl.Manager, a accounts) error {
	return builder.TypedControllerManagedBy[client.ObjectKey](mgr).Named("account").
		Watches(&corev1.ServiceAccount{}, changedAccounts, builder.WithPredicates(serviceAccountChanged)).
		WithOptions(inTurn(accountWorkers, namespaceOf)).
		WithLogConstructor(logger(mgr, func(name client.ObjectKey) []any { return []any{"serviceAccount", name.String()} })).
		Complete(a)
}

// atStart stands for all ServiceAccounts that are there when the controller starts: an item for each would take as much memory as the
// ServiceAccounts, and queues never shrink.
var atStart client.ObjectKey

// changedAccounts enqueues each ServiceAccount that changes.
var changedAccounts = atStartOnce{enqueue(nameOf)}

type atStartOnce struct {
	handler.TypedEventHandler[client.Object, client.ObjectKey]
}

// Create implements handler.TypedEventHandler.
func (h atStartOnce) Create(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[client.ObjectKey]) {
	if e.IsInInitialList {
		q.Add(atStart)
		return
	}
	h.TypedEventHandler.Create(ctx, e, q)
}

func nameOf(_ context.Context, o client.Object) []client.ObjectKey {
	return []client.ObjectKey{client.ObjectKeyFromObject(o)}
}

func namespaceOf(name client.ObjectKey) string { return name.Namespace }

// Reconcile wakes the targets that a ServiceAccount concerns, be it there or gone.
func (a accounts) Reconcile(ctx context.Context, name client.ObjectKey) (reconcile.Result, error) {
	if name == atStart {
		return reconcile.Result{}, a.wakeLeft(ctx)
	}
	sa := &corev1.ServiceAccount{}
	if err := client.IgnoreNotFound(a.cache.Get(ctx, name, sa, client.UnsafeDisableDeepCopy)); err != nil {
		return reconcile.Result{}, err
	}
	sa.Namespace, sa.Name = name.Namespace, name.Name
	ns, err := view.Namespace(ctx, a.cache, name.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	credentials, err := view.Credentials(ctx, a.cache, name.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	err = a.wakeIdentified(ctx, credentials, sa)
	for _, t := range unlike(ns, sa, credentials, a.fails) {
		if a.scope.Serves(t.Credential) {
			a.wake(t, 0)
		}
	}
	return reconcile.Result{}, err // then all of them are woken again
}

// wakeIdentified wakes the targets whose tokens the ServiceAccount asks for.
func (a accounts) wakeIdentified(ctx context.Context, credentials []*credential.Credential, sa *corev1.ServiceAccount) error {
	name, content := client.ObjectKeyFromObject(sa), contentOf(sa)
	many := name.Namespace == a.namespace
	if many && a.told.of(name, content) {
		return nil
	}
	targets, err := a.using(ctx, credentials, name, credential.AsServiceAccount)
	for _, t := range targets {
		a.wake(t, handler.LowPriority) // what many targets have to do comes after what one has
	}
	if many && err == nil {
		a.told.note(name, content)
	}
	return err
}

// wakeLeft wakes the targets of links that are recorded, and that no credential keeps any more. All others are woken by their credentials
// when the controller starts.
func (a accounts) wakeLeft(ctx context.Context) error {
	var failed []error
	err := view.EachServiceAccount(ctx, a.cache, func(sa *corev1.ServiceAccount) {
		for _, t := range credential.Linked(sa) {
			c, err := credential.Get(ctx, a.cache, t.Credential)
			failed = append(failed, err)
			if err == nil && (c == nil || c.SecretName() != t.Name) && a.scope.Serves(t.Credential) {
				a.wake(t, handler.LowPriority)
			}
		}
	})
	return errors.Join(append(failed, err)...)
}

// unlike are the targets for which a ServiceAccount may not be as it should: those that want a link which is not there, or fail, and those whose
// link is recorded though nobody wants it.
func unlike(ns client.Object, sa *corev1.ServiceAccount, credentials []*credential.Credential, fails func(credential.Target) bool) []credential.Target {
	listed := make(map[string]bool, len(sa.ImagePullSecrets))
	for _, secret := range sa.ImagePullSecrets {
		listed[secret.Name] = true
	}
	var targets []credential.Target
	settled := map[credential.Target]bool{}
	for _, c := range credentials {
		if ns == nil || !c.Object.GetDeletionTimestamp().IsZero() || !c.Selects(ns) || !c.Links(sa) || credential.LeftAlone(ns) || credential.LeftAlone(sa) {
			continue
		}
		t := c.Target(sa.Namespace)
		if settled[t] = listed[t.Name] && !fails(t); !settled[t] {
			targets = append(targets, t)
		}
	}
	for _, t := range credential.Linked(sa) {
		if done, wanted := settled[t]; !wanted || !done {
			targets = append(targets, t)
		}
	}
	return targets
}

// wakeUp puts targets into the queue of their controller.
func wakeUp(woken *wake.Queue[credential.Target]) func(credential.Target, int) {
	return func(t credential.Target, priority int) { woken.Add(priorityqueue.AddOpts{Priority: &priority}, t) }
}
