package controllers

import (
	"context"
	"slices"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
)

// crowd is the priority of what one event brings about in many namespaces: what one of them alone waits for, such as its first token, goes before it.
const crowd = -1

// concerning wakes the targets that an event concerns.
func concerning(find handler.TypedMapFunc[client.Object, credential.Target]) handler.TypedEventHandler[client.Object, credential.Target] {
	type queue = workqueue.TypedRateLimitingInterface[credential.Target]
	// Of what is not news, the library knows the priority.
	add := func(q queue, news bool, targets []credential.Target) {
		if q, ok := q.(priorityqueue.PriorityQueue[credential.Target]); ok && news && crowded(targets) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: new(crowd)}, targets...)
			return
		}
		for _, t := range targets {
			q.Add(t)
		}
	}
	return handler.TypedFuncs[client.Object, credential.Target]{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			add(q, !e.IsInInitialList, find(ctx, e.Object))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			news := e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion()
			add(q, news, append(find(ctx, e.ObjectOld), find(ctx, e.ObjectNew)...))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(q, true, find(ctx, e.Object)) },
	}
}

func crowded(targets []credential.Target) bool {
	return slices.ContainsFunc(targets, func(t credential.Target) bool { return t.Namespace != targets[0].Namespace })
}

// noteDeleted tells the reconciler of Secrets that are deleted before it works on them.
type noteDeleted struct {
	handler.TypedEventHandler[client.Object, credential.Target]
	targets *target.Reconciler
}

func (h noteDeleted) Delete(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[credential.Target]) {
	h.targets.Deleted(e.Object)
	h.TypedEventHandler.Delete(ctx, e, q)
}

// noteRecreated forgets the targets of a namespace that is deleted. Whoever missed that sees another UID under the same name.
type noteRecreated struct {
	handler.TypedEventHandler[client.Object, credential.Target]
	forget  func(credential.Target)
	targets handler.TypedMapFunc[client.Object, credential.Target]
}

func (h noteRecreated) Update(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[credential.Target]) {
	if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() {
		h.forgetAll(ctx, e.ObjectOld)
	}
	h.TypedEventHandler.Update(ctx, e, q)
}

func (h noteRecreated) Delete(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[credential.Target]) {
	h.forgetAll(ctx, e.Object)
	h.TypedEventHandler.Delete(ctx, e, q)
}

func (h noteRecreated) forgetAll(ctx context.Context, namespace client.Object) {
	for _, t := range h.targets(ctx, namespace) {
		h.forget(t)
	}
}

var (
	// specChanged lets pass what a user changes, and not our status.
	specChanged = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, recreated)
	// namespaceChanged lets pass what can select or unselect a namespace.
	namespaceChanged = predicate.Or[client.Object](predicate.LabelChangedPredicate{}, deletionChanged, recreated)
	deletionChanged  = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
	recreated = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() }}
	// serviceAccountChanged lets pass what concerns a link or an identity.
	serviceAccountChanged = predicate.Or[client.Object](predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{}, pullSecretsChanged)
	pullSecretsChanged    = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || !samePullSecrets(e.ObjectOld, e.ObjectNew)
	}}
)
