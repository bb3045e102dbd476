package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pace is a little faster than two pods a second, so that it is never slower.
const pace = 480 * time.Millisecond

// podLife is that of a pod of a stream.
const podLife = time.Millisecond

// healing is longer than the kubelet waits after the fourth failed pull of a pod, 80 s.
const healing = 2 * patience

const streamLabel = "stream"

// stream creates pods in a namespace, one after another, and removes each when it has run.
type stream struct {
	e         *e2e
	namespace string
	began     time.Time
	ended     time.Time

	enough context.CancelFunc // ends the creation of pods
	done   chan struct{}
	err    error

	mu      sync.Mutex
	made    map[string]time.Time
	started map[string]time.Time
	more    chan struct{} // closed at the next start
}

func (e *e2e) startStream(ctx context.Context, namespace string) (*stream, error) {
	s := &stream{
		e: e, namespace: namespace, began: time.Now(), done: make(chan struct{}),
		made: map[string]time.Time{}, started: map[string]time.Time{}, more: make(chan struct{}),
	}
	pods, err := e.lab.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace), client.HasLabels{streamLabel})
	if err != nil {
		return nil, err
	}
	creating, enough := context.WithCancel(ctx)
	s.enough = enough
	go s.observe(ctx, pods)
	go func() {
		defer close(s.done)
		s.err = s.create(ctx, creating.Done())
		s.ended = time.Now()
	}()
	return s, nil
}

// create goes on until enough is closed. No creation is broken off: its pod might be there all the same, made by nobody.
func (s *stream) create(ctx context.Context, enough <-chan struct{}) error {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for i := 1; ; i++ {
		name := fmt.Sprintf("pod-%04d", i)
		s.mu.Lock()
		s.made[name] = time.Now()
		s.mu.Unlock()
		if err := s.e.createPod(ctx, s.namespace, name, podOptions{life: podLife, labels: map[string]string{streamLabel: ""}}); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-enough:
			return nil
		}
	}
}

// observe notes which pods have run, and removes them.
func (s *stream) observe(ctx context.Context, pods watch.Interface) {
	defer pods.Stop()
	for {
		select {
		case event, open := <-pods.ResultChan():
			if !open {
				return
			}
			pod, ok := event.Object.(*corev1.Pod)
			if ok && event.Type != watch.Deleted && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodSucceeded {
				s.note(pod.Name)
				_ = s.e.lab.Client.Delete(ctx, pod, client.GracePeriodSeconds(0)) // one that stays harms nothing
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *stream) note(pod string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.started[pod]; known {
		return
	}
	s.started[pod] = time.Now()
	close(s.more)
	s.more = make(chan struct{})
}

// flow is what became of a stream.
type flow struct {
	pods     int
	perSec   float64
	slowest  time.Duration
	failures []failedPull
	made     map[string]time.Time
	// overtaken is how many requests were refused, of any namespace, although Regcred had replaced the token in time.
	overtaken int
}

// failed is an error if pulls have failed for which no slow node is to blame.
func (f flow) failed() error {
	if n := count(f.failures); n > f.overtaken {
		return fmt.Errorf("%d pulls failed, %d of them as the node took longer than their token lived%s", n, f.overtaken, firstOf(f.failures))
	}
	return nil
}

// finish ends the creation of pods and waits until every pod of it has run: one whose pull has failed heals by itself once it can.
func (s *stream) finish(ctx context.Context) (flow, error) {
	s.enough()
	<-s.done
	if s.err != nil {
		return flow{}, fmt.Errorf("creating pods: %w", s.err)
	}
	ctx, cancel := context.WithTimeout(ctx, healing)
	defer cancel()
	for {
		s.mu.Lock()
		missing, more := len(s.made)-len(s.started), s.more
		s.mu.Unlock()
		if missing == 0 {
			break
		}
		select {
		case <-more:
		case <-ctx.Done():
			return flow{}, errors.Join(fmt.Errorf("%d of %d pods in namespace %s have not run", missing, len(s.made), s.namespace), ctx.Err())
		}
	}
	f := flow{pods: len(s.made), perSec: float64(len(s.made)) / s.ended.Sub(s.began).Seconds(), made: s.made}
	for pod, made := range s.made {
		f.slowest = max(f.slowest, s.started[pod].Sub(made))
	}
	var err error
	f.failures, err = s.e.failedPulls(ctx, s.namespace)
	f.overtaken = s.e.history.Overtaken(s.began)
	return f, err
}

// bystander is a pod that runs all the time.
func (e *e2e) bystander(ctx context.Context, namespace string) (*corev1.Pod, error) {
	return e.createAndRun(ctx, namespace, "bystander", podOptions{})
}
