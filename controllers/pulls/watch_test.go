package pulls

import (
	"context"
	"io"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// watching takes the events of a namespace in, one after the other. It says when the watch is there.
func watching(t *testing.T, ns string, wrap func(corev1client.EventInterface) corev1client.EventInterface) <-chan *corev1.Event {
	t.Helper()
	clients, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	taken, started := make(chan *corev1.Event, 100), make(chan struct{}, 10)
	w := &podEvents{events: wrap(announced{clients.CoreV1().Events(ns), started}), take: func(e *corev1.Event) { taken <- e }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.run(ctx)
		close(ended)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	receive(t, started)
	return taken
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// announced says when a watch has begun.
type announced struct {
	corev1client.EventInterface
	started chan struct{}
}

func (a announced) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	w, err := a.EventInterface.Watch(ctx, options)
	if err == nil {
		a.started <- struct{}{}
	}
	return w, err
}

func unchanged(e corev1client.EventInterface) corev1client.EventInterface { return e }

func TestOnlyNewEventsOfFailingPodsAreTakenIn(t *testing.T) {
	p, ns := newWorld(t)
	pod := p.pod(ns, "app", imageIn("eu-west-1"), nil)
	event := func(name, reason, kind string) *corev1.Event {
		e := kubeletEvent("Failed to pull image: " + name)
		e.Namespace, e.Name, e.Reason = ns, name, reason
		e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.InvolvedObject.UID, e.InvolvedObject.Kind = ns, pod.Name, pod.UID, kind
		p.must(p.admin.Create(t.Context(), e))
		return e
	}
	event("old", "Failed", "Pod")
	taken := watching(t, ns, unchanged)
	event("reason", "Pulled", "Pod")
	event("kind", "Failed", "Job")
	first := event("first", "Failed", "Pod")
	if got := receive(t, taken).Name; got != "first" {
		t.Errorf("took %s in, want the first that fails", got)
	}
	first.Count = 2
	p.must(p.admin.Update(t.Context(), first))
	if got := receive(t, taken); got.Name != "first" || got.Count != 2 {
		t.Errorf("took %s in, %d times, want the repetition", got.Name, got.Count)
	}
	// The API server deletes events when they are an hour old, which is no failure.
	p.must(p.admin.Delete(t.Context(), first))
	event("last", "Failed", "Pod")
	if got := receive(t, taken).Name; got != "last" {
		t.Errorf("took %s in, want the last", got)
	}
}

// broken ends the first watches as the API server does.
type broken struct {
	corev1client.EventInterface
	errs *[]error
}

func (b broken) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if len(*b.errs) > 0 {
		err := (*b.errs)[0]
		*b.errs = (*b.errs)[1:]
		return nil, err
	}
	return b.EventInterface.Watch(ctx, options)
}

func TestAWatchThatIsLostBeginsAnew(t *testing.T) {
	p, ns := newWorld(t)
	errs := []error{apierrors.NewResourceExpired("too old"), io.EOF}
	taken := watching(t, ns, func(e corev1client.EventInterface) corev1client.EventInterface { return broken{e, &errs} })
	e := kubeletEvent("x")
	e.Namespace, e.Name, e.InvolvedObject.Namespace = ns, "first", ns
	p.must(p.admin.Create(t.Context(), e))
	if got := receive(t, taken).Name; got != "first" || len(errs) != 0 {
		t.Errorf("took %s in after %v", got, errs)
	}
}
