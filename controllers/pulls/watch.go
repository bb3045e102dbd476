package pulls

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// failedPods is what the API server sends us of all events: where nothing fails, nothing.
var failedPods = fields.Set{"reason": "Failed", "involvedObject.kind": "Pod"}.String()

// Watch watches the events of pods in the namespaces, or in all if one is "", until ctx ends.
func (r *Reconciler) Watch(ctx context.Context, core corev1client.EventsGetter, namespaces []string) {
	for _, namespace := range namespaces {
		w := &podEvents{events: core.Events(namespace), take: r.Take}
		go w.run(ctx)
	}
}

// podEvents watches the events of pods that fail. It keeps none: what they say is taken in at once or dropped, so that memory does not
// grow with them. It begins with what comes next, for the kubelet says again what goes on.
type podEvents struct {
	events corev1client.EventInterface
	take   func(*corev1.Event)
}

// run watches until ctx ends.
func (w *podEvents) run(ctx context.Context) {
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Jitter: .5, Steps: 10, Cap: 5 * time.Minute}
	_ = backoff.DelayWithReset(clock.RealClock{}, 10*time.Minute).Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if err := w.follow(ctx); err != nil && ctx.Err() == nil && !tooOld(err) {
			log.FromContext(ctx).Info("Watching events of pods failed; it is tried again", "message", err.Error())
		}
		return false, nil
	}) // it ends with ctx, and with nothing else
}

// follow watches until the API server no longer knows where we were.
func (w *podEvents) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Without the selector, for the API server would search all events for the one that we do not want.
	start, err := w.events.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	lister := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		options.FieldSelector = failedPods
		watching, err := w.events.Watch(ctx, options)
		if tooOld(err) {
			cancel() // the RetryWatcher would try again for ever
		}
		return watching, err
	}}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, start.ResourceVersion, lister)
	if err != nil {
		return err
	}
	for e := range watcher.ResultChan() {
		switch e.Type {
		case watch.Added, watch.Modified:
			if event, ok := e.Object.(*corev1.Event); ok {
				w.take(event)
			}
		case watch.Error:
			return apierrors.FromObject(e.Object)
		}
	}
	return errEnded
}

var errEnded = errors.New("the watch has ended")

func tooOld(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
