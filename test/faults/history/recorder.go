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

	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// controllerUser is whose requests are the controller's.
const controllerUser = "system:serviceaccount:" + lab.Namespace + ":regcred"

// Version is a Secret as it was from a moment on.
type Version struct {
	Seen    time.Time // by the clock of the clouds
	Written time.Time // by that of the audit log
	Deleted bool
	Secret  *corev1.Secret
}

// Recorder sees every version of every Secret from its start on.
type Recorder struct {
	world  *lab.Lab
	began  time.Time
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	versions []Version
}

// Record starts to watch a lab that writes an audit log. now is the clock that its clouds live by.
func Record(ctx context.Context, world *lab.Lab, now func() time.Time) (*Recorder, error) {
	clients, err := kubernetes.NewForConfig(world.Config)
	if err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := clients.CoreV1().Secrets("").Watch(watching, metav1.ListOptions{})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watching Secrets: %w", err)
	}
	r := &Recorder{world: world, began: time.Now(), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer w.Stop()
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*corev1.Secret); ok {
				r.add(Version{now(), time.Now(), e.Type == watch.Deleted, s})
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

// Stop ends the watch. It may be called more than once.
func (r *Recorder) Stop() error {
	r.cancel()
	<-r.done
	return nil
}

// Check stops, and says of all that has happened what must hold and does not, a sentence for each.
func (r *Recorder) Check() ([]string, error) {
	if err := r.Stop(); err != nil {
		return nil, err
	}
	requests, err := r.world.AuditRequests(r.began, func(q controlplane.AuditRequest) bool { return q.User == controllerUser })
	if err != nil {
		return nil, err
	}
	if len(requests) == 0 || len(r.versions) == 0 {
		return nil, fmt.Errorf("the history of %d requests and %d Secrets is none", len(requests), len(r.versions))
	}
	return History{Secrets: r.versions, Requests: requests, Calls: r.world.AWS.Log(), Token: r.world.AWS.Token}.Check(), nil
}
