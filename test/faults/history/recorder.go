// Package history records what happened in a cluster and in its clouds, and checks afterwards what must hold of any such history. Who writes
// a scenario need not know what is checked, and who writes a check need not know the scenarios.
package history

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Version is a Secret as it was from a moment on.
type Version struct {
	Seen    time.Time // by the clock of the clouds
	Deleted bool
	Secret  *corev1.Secret
}

// Recorder sees every version of every Secret from its start on.
type Recorder struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	versions []Version
}

// Record starts to watch. now is the clock that the clouds live by.
func Record(ctx context.Context, config *rest.Config, now func() time.Time) (*Recorder, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := clients.CoreV1().Secrets("").Watch(watching, metav1.ListOptions{})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watching Secrets: %w", err)
	}
	r := &Recorder{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer w.Stop()
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*corev1.Secret); ok {
				r.add(Version{now(), e.Type == watch.Deleted, s})
			}
		}
	}()
	return r, nil
}

func (r *Recorder) add(v Version) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, v)
}

// Stop ends the watch and returns what it has seen, in order.
func (r *Recorder) Stop() []Version {
	r.cancel()
	<-r.done
	return r.versions
}
