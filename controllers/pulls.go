package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/regcred/regcred/providers"
)

// Trials is who tries tokens that were published.
type Trials interface {
	// Try says what a registry makes of a login, or returns a *providers.PendingError and calls wake once when it knows.
	Try(req providers.Request, login providers.Login, pull providers.Pull, wake func()) (providers.Verdict, error)
	// Refuse says that the token of the source of req that ends at expiresAt is refused, and whether another is minted because of that.
	Refuse(req providers.Request, expiresAt time.Time) bool
}

// PullReconciler looks into pulls that failed: it finds the cause, tells it, and mends what it may.
type PullReconciler struct {
	// Targets knows the credentials and their Secrets.
	Targets *TargetReconciler
	// Trials tries the tokens in them.
	Trials Trials
	// Events is told of causes, as far as they concern a credential, and PodEvents as far as they concern a pod.
	Events, PodEvents events.EventRecorder
	// Failures counts pulls that failed, by cause.
	Failures *prometheus.CounterVec
	// Wake brings a failure back.
	Wake func(FailedPull)

	failing   *failing
	evictions *evictions
	selected  selections
	// startedAt is since when evictions are remembered.
	startedAt time.Time
}

// NewPullReconciler returns a reconciler that remembers nothing yet. It leaves Wake open.
func NewPullReconciler(targets *TargetReconciler, trials Trials, recorder events.EventRecorder, failures *prometheus.CounterVec) *PullReconciler {
	return &PullReconciler{
		Targets: targets, Trials: trials, Events: recorder, PodEvents: podRecorder{targets.Client, targets.Clock}, Failures: failures,
		failing: newFailing(), evictions: newEvictions(), startedAt: targets.Clock.Now(),
	}
}

// NewPullFailures registers the metric of failed pulls.
func NewPullFailures(r prometheus.Registerer) *prometheus.CounterVec {
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "regcred_pull_failures_total",
		Help: "Failed pulls of pods in namespaces that hold a Secret of a credential, by cause; those of one pod and image at most once a minute.",
	}, []string{"cause"})
	r.MustRegister(failures)
	return failures
}

// take takes an event in if there may be something to do.
func (r *PullReconciler) take(e *corev1.Event) {
	if p, ok := failedPullOf(e); ok && r.failing.admit(p, r.Targets.Clock.Now()) {
		r.Wake(p)
	}
}

// next is when a failure is looked at again; the zero value is never.
type next struct {
	after time.Duration
	// woken is whether somebody else brings it back.
	woken bool
}

// Reconcile looks into a failure once. Errors are not tried again: the kubelet says again what goes on.
func (r *PullReconciler) Reconcile(ctx context.Context, p FailedPull) (reconcile.Result, error) {
	l := r.failing.look(p)
	if l == nil {
		return reconcile.Result{}, nil
	}
	n, err := r.look(ctx, p, l)
	switch {
	case err != nil && ctx.Err() == nil:
		log.FromContext(ctx).Info("A failed pull could not be looked into", "message", err.Error())
	case err == nil && n.woken:
		return reconcile.Result{}, nil
	case err == nil && n.after > 0:
		return reconcile.Result{RequeueAfter: n.after}, nil
	}
	r.failing.close(p, r.Targets.Clock.Now())
	return reconcile.Result{}, nil
}

// look is the straight line: observe, diagnose, try, tell, mend.
func (r *PullReconciler) look(ctx context.Context, p FailedPull, l *look) (next, error) {
	i, ok := parseImage(p.Image)
	if !ok {
		return next{}, nil
	}
	// Whatever costs a request comes after this.
	holdings, err := r.holdings(ctx, p.Namespace, i)
	if err != nil || len(holdings) == 0 {
		return next{}, err
	}
	if p.Cause != "" {
		r.Failures.WithLabelValues(p.Cause).Inc()
		return next{}, nil
	}
	if n, err := r.observe(ctx, p, l); err != nil || l.pod == nil {
		return n, err
	}
	e, err := r.evidence(ctx, i, *l.pod, holdings)
	if err != nil {
		return next{}, err
	}
	f := diagnose(e)
	if f.wait && l.waits < waitMost {
		*l = look{waits: l.waits + 1}
		return next{after: expectFor}, nil
	}
	if f.try {
		var n next
		if f, n = r.try(ctx, p, e, f); n != (next{}) {
			return n, nil
		}
	}
	if !l.counted {
		l.counted = true
		r.Failures.WithLabelValues(f.cause).Inc()
		r.tell(ctx, e, f)
	}
	if f.evict {
		return r.evict(ctx, p, l, e)
	}
	return next{}, nil
}

// observe reads the pod when its turn has come. A pod that is gone, or no longer fails, is none.
func (r *PullReconciler) observe(ctx context.Context, p FailedPull, l *look) (next, error) {
	if l.pod != nil && l.evict.IsZero() {
		return next{}, nil
	}
	l.pod = nil
	if wait := r.failing.readPod(l, r.Targets.Clock.Now()); wait > 0 {
		return next{after: wait}, nil
	}
	if wait := l.evict.Sub(r.Targets.Clock.Now()); wait > 0 {
		return next{after: wait}, nil
	}
	pod := &corev1.Pod{}
	if err := r.Targets.Live.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.Pod}, pod); err != nil {
		return next{}, client.IgnoreNotFound(err)
	}
	if pod.UID == p.UID && pod.DeletionTimestamp.IsZero() && fails(pod, p.Image) {
		l.pod = pullerOf(pod)
	}
	return next{}, nil
}

// tell makes an event on the pod and one on the credential.
func (r *PullReconciler) tell(ctx context.Context, e evidence, f finding) {
	now, c := r.Targets.Clock.Now(), f.about.credential
	if r.failing.tell(e.pod.uid, f.cause, now) {
		kind := corev1.EventTypeWarning
		if f.good {
			kind = corev1.EventTypeNormal
		}
		r.PodEvents.Eventf(e.pod.object(), c.object, kind, f.cause, "Pull", "%s", truncate(f.note))
	}
	if !f.good && r.failing.tell(c.Key, f.cause, now) {
		recordNews(ctx, r.Events, c, []news{{warning: true, reason: f.cause, action: "Pull", namespace: e.pod.namespace,
			note: "pod " + e.pod.name + ": " + f.note}})
	}
}

func (p puller) object() *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid},
	}
}

// lookers is how many failures are looked into at once.
const lookers = 4

// SetupPulls looks into failed pulls while this replica leads. Where nothing fails it costs a watch that says nothing.
func SetupPulls(mgr ctrl.Manager, pulls *PullReconciler) error {
	core, err := corev1client.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	woken := &queue[FailedPull]{}
	pulls.Wake = func(p FailedPull) { woken.add(priorityqueue.AddOpts{}, p) }
	var watched []*podEvents
	for _, namespace := range pulls.Targets.Scope.eventNamespaces() {
		watched = append(watched, &podEvents{events: core.Events(namespace), take: pulls.take})
	}
	return builder.TypedControllerManagedBy[FailedPull](mgr).Named("pull").
		WatchesRawSource(source.TypedFunc[FailedPull](func(ctx context.Context, q workqueue.TypedRateLimitingInterface[FailedPull]) error {
			err := woken.attach(ctx, q)
			for _, w := range watched {
				go w.run(ctx)
			}
			return err
		})).
		WithOptions(controller.TypedOptions[FailedPull]{MaxConcurrentReconciles: lookers, RateLimiter: rateLimiter[FailedPull]()}).
		WithLogConstructor(logger[FailedPull](mgr, func(p FailedPull) []any {
			return []any{"namespace", p.Namespace, "pod", p.Pod, "image", p.Image}
		})).
		Complete(pulls)
}
