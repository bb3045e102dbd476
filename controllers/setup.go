package controllers

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// +kubebuilder:rbac:groups=regcred.dev,resources=registrycredentials;clusterregistrycredentials,verbs=list;watch
// +kubebuilder:rbac:groups=regcred.dev,resources=registrycredentials/status;clusterregistrycredentials/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=list;watch;patch
// +kubebuilder:rbac:groups="",resources=serviceaccounts/token,verbs=create
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get
// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=regcred-system,resources=leases,verbs=get;create;update
// +kubebuilder:rbac:groups="",namespace=regcred-system,resources=events,verbs=create;patch

// workers is how many targets are worked on at once. A worker waits for nothing but the API server.
const workers = 32

// Setup runs both controllers in the manager. It completes what the reconcilers leave open: what they see, and who wakes whom.
func Setup(ctx context.Context, mgr ctrl.Manager, view *View, targets *TargetReconciler, status *StatusReconciler) error {
	targets.Cache, targets.Scope, status.Cache = view, view.Scope, view
	if err := prepareCache(ctx, view); err != nil {
		return err
	}
	woken := &queue[Target]{}
	targets.Wake = func(t Target, priority int) { woken.add(priorityqueue.AddOpts{Priority: &priority}, t) }
	changed := &queue[Key]{}
	targets.Ledger.Changed = func(key Key) { changed.add(priorityqueue.AddOpts{After: debounce}, key) }

	m := mapping{cache: view, namespace: targets.Namespace}
	b := builder.TypedControllerManagedBy[Target](mgr).Named("target")
	for _, kind := range view.credentials() {
		b = b.Watches(kind, enqueue(m.fromCredential), builder.WithPredicates(specChanged))
	}
	if !view.confined() {
		b = b.WatchesMetadata(&corev1.Namespace{}, enqueue(m.fromNamespace), builder.WithPredicates(namespaceChanged))
	}
	for _, c := range view.secretCaches() {
		handler := forgetDeleted{enqueue(view.only(m.fromSecret)), &targets.written}
		b = b.WatchesRawSource(source.TypedKind[client.Object](c, secretMetadata(), handler))
	}
	err := b.Watches(&corev1.ServiceAccount{}, enqueue(view.only(m.fromServiceAccount)), builder.WithPredicates(serviceAccountChanged)).
		WatchesRawSource(source.TypedFunc[Target](woken.attach)).
		WithOptions(controller.TypedOptions[Target]{MaxConcurrentReconciles: workers, RateLimiter: rateLimiter[Target]()}).
		WithLogConstructor(logger[Target](mgr, func(t Target) []any {
			return []any{"credential", t.Credential.String(), "namespace", t.Namespace}
		})).
		Complete(targets)
	if err != nil {
		return err
	}
	reports := builder.TypedControllerManagedBy[Key](mgr).Named("status")
	for _, kind := range view.credentials() {
		reports = reports.Watches(kind, enqueue(itself), builder.WithPredicates(specChanged))
	}
	return reports.WatchesRawSource(source.TypedFunc[Key](changed.attach)).
		WithOptions(controller.TypedOptions[Key]{RateLimiter: rateLimiter[Key]()}).
		WithLogConstructor(logger[Key](mgr, func(key Key) []any { return []any{"credential", key.String()} })).
		Complete(status)
}

// prepareCache asks for every informer before the manager starts, so that all of them are filled before the first reconcile.
func prepareCache(ctx context.Context, view *View) error {
	objects := append(view.credentials(), &corev1.ServiceAccount{})
	if !view.confined() {
		objects = append(objects, namespaceMetadata())
	}
	for _, o := range objects {
		if _, err := view.GetInformer(ctx, o); err != nil {
			return err
		}
	}
	for _, c := range view.secretCaches() {
		if _, err := c.GetInformer(ctx, secretMetadata()); err != nil {
			return err
		}
		if err := c.IndexField(ctx, secretMetadata(), indexCredential, indexSecret); err != nil {
			return err
		}
		if err := c.IndexField(ctx, secretMetadata(), indexTokenID, tokenIDs); err != nil {
			return err
		}
	}
	return view.IndexField(ctx, &corev1.ServiceAccount{}, indexCredential, indexServiceAccount)
}

// rateLimiter is for errors of the API server; what clouds refuse is the Broker's to space out.
func rateLimiter[T comparable]() workqueue.TypedRateLimiter[T] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[T](100*time.Millisecond, 2*time.Minute)
}

func logger[T comparable](mgr ctrl.Manager, values func(T) []any) func(*T) logr.Logger {
	return func(t *T) logr.Logger {
		if t == nil {
			return mgr.GetLogger()
		}
		return mgr.GetLogger().WithValues(values(*t)...)
	}
}

func enqueue[T comparable](m handler.TypedMapFunc[client.Object, T]) handler.TypedEventHandler[client.Object, T] {
	return handler.TypedEnqueueRequestsFromMapFunc(m)
}

// queue lets others than watches put items into a controller's queue, once there is one.
type queue[T comparable] struct {
	mu sync.Mutex
	q  priorityqueue.PriorityQueue[T]
}

func (q *queue[T]) attach(_ context.Context, into workqueue.TypedRateLimitingInterface[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.q, _ = into.(priorityqueue.PriorityQueue[T])
	return nil
}

func (q *queue[T]) add(opts priorityqueue.AddOpts, item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.q != nil {
		q.q.AddWithOpts(opts, item)
	}
}

// forgetDeleted stops expecting a write of ours in the cache when the Secret is deleted.
type forgetDeleted struct {
	handler.TypedEventHandler[client.Object, Target]
	written *expectations
}

func (h forgetDeleted) Delete(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[Target]) {
	for _, t := range targetsOf(e.Object) {
		h.written.forget(t)
	}
	h.TypedEventHandler.Delete(ctx, e, q)
}

var (
	// specChanged lets pass what a user changes, and not our status.
	specChanged = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	// namespaceChanged lets pass what can select or unselect a namespace.
	namespaceChanged = predicate.Or[client.Object](predicate.LabelChangedPredicate{}, deletionChanged)
	deletionChanged  = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
	// serviceAccountChanged lets pass what concerns a link or an identity.
	serviceAccountChanged = predicate.Or[client.Object](predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{}, pullSecretsChanged)
	pullSecretsChanged    = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || !samePullSecrets(e.ObjectOld, e.ObjectNew)
	}}
)
