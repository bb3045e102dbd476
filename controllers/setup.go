// Package controllers wires what works on credentials into a manager: which event wakes whom, and nothing else.
package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/pulls"
	"github.com/regcred/regcred/controllers/report"
	"github.com/regcred/regcred/controllers/revoke"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/wake"
	"github.com/regcred/regcred/providers"
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

// Options are what the controllers are set up with.
type Options struct {
	// View is what is read.
	View *view.Caches
	// Broker mints, remembers, tries and revokes tokens.
	Broker Broker
	// Retired is told by the Broker of tokens that are no longer handed out.
	Retired *revoke.Retired
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Metrics is where metrics are registered.
	Metrics prometheus.Registerer
	// Version is what metrics show.
	Version string
	// Namespace is the controller's own; identities of ClusterRegistryCredentials are read there.
	Namespace string
	// Excluded namespaces never hold a target.
	Excluded view.Excluded
	// AllowAmbientIdentity lets a RegistryCredential use the controller's own identity.
	AllowAmbientIdentity bool
	// DiagnosePulls has failed pulls looked into.
	DiagnosePulls bool
}

// Broker is where tokens come from, and who tries them.
type Broker interface {
	target.Tokens
	pulls.Trials
	// Revoke ends a token that it has minted and no longer hands out, and calls done once.
	Revoke(name providers.TokenName, done func(error))
}

// Setup runs the controllers in the manager.
func Setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := o.View.Prepare(ctx); err != nil {
		return err
	}
	woken, changed := &wake.Queue[credential.Target]{}, &wake.Queue[credential.Key]{}
	ledger := &report.Ledger{Clock: o.Clock, Changed: func(key credential.Key) {
		changed.Add(priorityqueue.AddOpts{After: report.Debounce, Priority: new(statusPriority(key))}, key)
	}}
	o.Metrics.MustRegister(&report.Metrics{Ledger: ledger, Clock: o.Clock, Version: o.Version, Elected: mgr.Elected()})
	recorder := ration(mgr.GetEventRecorder("regcred"), o.Clock, NewDroppedEvents(o.Metrics))
	targets := target.New(target.Config{
		Cache: o.View, Live: mgr.GetAPIReader(), Client: mgr.GetClient(), Tokens: o.Broker, Clock: o.Clock, Outcomes: ledger,
		Namespace: o.Namespace, Excluded: o.Excluded, Scope: o.View.Scope, AllowAmbientIdentity: o.AllowAmbientIdentity,
		Wake: wakeUp(woken), Released: o.Retired.Release,
	})
	if err := setupTargets(mgr, o, targets, woken, func(t credential.Target) bool { return ledger.Failure(t, "") != nil }); err != nil {
		return err
	}
	status := &report.StatusReconciler{
		Cache: o.View, Client: mgr.GetClient(), Clock: o.Clock, Ledger: ledger, Excluded: o.Excluded, Events: recorder, Unused: targets.Unused,
	}
	if err := setupStatus(mgr, o, status, changed); err != nil {
		return err
	}
	if err := setupRevocations(mgr, o, targets); err != nil {
		return err
	}
	if !o.DiagnosePulls {
		return nil
	}
	failed := &wake.Queue[diagnosis.FailedPull]{}
	return setupPulls(mgr, o, failed, pulls.New(pulls.Config{
		Published: targets, Trials: o.Broker, Cache: o.View, Live: mgr.GetAPIReader(), Client: mgr.GetClient(), Clock: o.Clock,
		Events: recorder, Counters: ledger, Wake: func(p diagnosis.FailedPull) { failed.Add(priorityqueue.AddOpts{}, p) },
	}))
}

// workers is how many targets are worked on at once. A worker waits for nothing but the API server.
const workers = 32

func setupTargets(mgr ctrl.Manager, o Options, targets *target.Reconciler, woken *wake.Queue[credential.Target], fails func(credential.Target) bool) error {
	m := mapping{cache: o.View, namespace: o.Namespace}
	if err := setupAccounts(mgr, accounts{m, o.View.Scope, fails, targets.Wake, newTold(o.Clock)}); err != nil {
		return err
	}
	if err := setupSecrets(mgr, o, secrets{m, o.View.Scope, targets.Wake, targets.Content, newTold(o.Clock)}); err != nil {
		return err
	}
	b := builder.TypedControllerManagedBy[credential.Target](mgr).Named("target")
	for _, kind := range o.View.Kinds() {
		b = b.Watches(kind, concerning(m.fromCredential), builder.WithPredicates(specChanged))
	}
	if !o.View.Confined() {
		b = b.WatchesMetadata(&corev1.Namespace{}, noteRecreated{concerning(m.fromNamespace), targets.Forget, m.fromNamespace}, builder.WithPredicates(namespaceChanged))
	}
	for _, c := range o.View.SecretCaches() {
		b = b.WatchesRawSource(source.TypedKind[client.Object](c, view.SecretMetadata(), noteDeleted{concerning(served(o.View.Scope, fromSecret)), targets}))
	}
	return b.WatchesRawSource(source.TypedFunc[credential.Target](woken.Attach)).
		WithOptions(inTurn(workers, func(t credential.Target) string { return t.Namespace })).
		WithLogConstructor(logger(mgr, func(t credential.Target) []any {
			return []any{"credential", t.Credential.String(), "namespace", t.Namespace}
		})).
		Complete(boundedSleep{targets})
}

// statusWriters is how many statuses are written at once.
const statusWriters = 4

// statusPriority puts what many read before what one namespace does: it may have thousands of credentials.
func statusPriority(key credential.Key) int {
	if key.Namespace == "" {
		return 1
	}
	return 0
}

// owner is whose turn a status takes. Cluster-wide credentials have one each: they are the administrators', and many read them.
func owner(key credential.Key) string {
	if key.Namespace == "" {
		return "/" + key.Name
	}
	return key.Namespace
}

func setupStatus(mgr ctrl.Manager, o Options, status *report.StatusReconciler, changed *wake.Queue[credential.Key]) error {
	b := builder.TypedControllerManagedBy[credential.Key](mgr).Named("status")
	for _, kind := range o.View.Kinds() {
		b = b.Watches(kind, enqueue(itself), builder.WithPredicates(specChanged))
	}
	return b.WatchesRawSource(source.TypedFunc[credential.Key](changed.Attach)).
		WithOptions(inTurn(statusWriters, owner)).
		WithLogConstructor(logger(mgr, func(key credential.Key) []any { return []any{"credential", key.String()} })).
		Complete(status)
}

// setupRevocations ends tokens that nobody uses any more. Where no token can be revoked it has nothing to do.
func setupRevocations(mgr ctrl.Manager, o Options, targets *target.Reconciler) error {
	return builder.TypedControllerManagedBy[providers.TokenName](mgr).Named("revoke").
		WatchesRawSource(source.TypedFunc[providers.TokenName](o.Retired.Queue.Attach)).
		WithOptions(controller.TypedOptions[providers.TokenName]{RateLimiter: rateLimiter[providers.TokenName]()}).
		WithLogConstructor(logger(mgr, func(name providers.TokenName) []any { return []any{"token", string(name)} })).
		Complete(&revoke.Reconciler{Clock: o.Clock, Retired: o.Retired, InUse: targets.Holds, Revoke: o.Broker.Revoke})
}

// investigators is how many failed pulls are looked into at once.
const investigators = 4

// setupPulls looks into failed pulls while this replica leads. Where nothing fails it costs a watch that says nothing.
func setupPulls(mgr ctrl.Manager, o Options, failed *wake.Queue[diagnosis.FailedPull], reconciler *pulls.Reconciler) error {
	core, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	return builder.TypedControllerManagedBy[diagnosis.FailedPull](mgr).Named("pull").
		WatchesRawSource(source.TypedFunc[diagnosis.FailedPull](func(ctx context.Context, q workqueue.TypedRateLimitingInterface[diagnosis.FailedPull]) error {
			err := failed.Attach(ctx, q)
			reconciler.Watch(ctx, core, o.View.EachNamespace())
			return err
		})).
		WithOptions(inTurn(investigators, func(p diagnosis.FailedPull) string { return p.Namespace })).
		WithLogConstructor(logger(mgr, func(p diagnosis.FailedPull) []any {
			return []any{"namespace", p.Namespace, "pod", p.Pod, "image", p.Image}
		})).
		Complete(reconciler)
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

// longestSleep is after how long a target is looked at again at the latest: a clock that jumps, or a machine that slept, is noticed then.
const longestSleep = 30 * time.Minute

// boundedSleep lets no timed sleep of a target be longer than that; one without a time has none, and an event ends it.
type boundedSleep struct {
	reconcile.TypedReconciler[credential.Target]
}

func (p boundedSleep) Reconcile(ctx context.Context, t credential.Target) (reconcile.Result, error) {
	result, err := p.TypedReconciler.Reconcile(ctx, t)
	result.RequeueAfter = min(result.RequeueAfter, longestSleep)
	return result, err
}
