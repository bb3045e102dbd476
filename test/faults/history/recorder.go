// Package history records what happened in a cluster and in its clouds, and checks afterwards what must hold of any such history. Who writes
// a scenario need not know what is checked, and who writes a check need not know the scenarios.
package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

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

// Recorder sees every version of every Secret from its start on. While the API server is away it sees none, and only the last afterwards.
type Recorder struct {
	world  *lab.Lab
	began  time.Time
	now    func() time.Time
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
	r := &Recorder{world: world, began: time.Now(), now: now, cancel: cancel, done: make(chan struct{})}
	secrets := informers.NewSharedInformerFactory(clients, 0).Core().V1().Secrets().Informer()
	handled, err := secrets.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { r.see(o, false) }, UpdateFunc: func(_, o any) { r.see(o, false) }, DeleteFunc: func(o any) { r.see(o, true) },
	})
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(r.done)
		secrets.RunWithContext(watching)
	}()
	if !cache.WaitForCacheSync(ctx.Done(), handled.HasSynced) {
		return nil, errors.Join(errors.New("the Secrets cannot be watched"), r.Stop())
	}
	return r, nil
}

func (r *Recorder) see(o any, deleted bool) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	s, ok := o.(*corev1.Secret)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, Version{r.now(), time.Now(), deleted, s})
}

// Overtaken counts the pulls that were refused from then on although each Secret had a new token before theirs expired: a node under load
// may take longer from reading a Secret to the registry. Check finds those for which no node is to blame.
func (r *Recorder) Overtaken(since time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return History{Secrets: r.versions, Refused: r.world.AWS.Refused(), Token: r.world.AWS.Token}.overtaken(since)
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
	h, err := Of(r.world, r.began)
	if err != nil {
		return nil, err
	}
	if h.Secrets = r.versions; len(h.Secrets) == 0 {
		return nil, errors.New("the history of no Secrets is none")
	}
	return h.Check(), nil
}

// Of is what the audit log and the clouds of a lab say has happened since then. It knows nothing of what was in Secrets.
func Of(world *lab.Lab, began time.Time) (History, error) {
	requests, err := world.AuditRequests(began, func(q controlplane.AuditRequest) bool { return q.User == controllerUser })
	if err == nil && len(requests) == 0 {
		err = errors.New("the history of no requests is none")
	}
	if err != nil {
		return History{}, fmt.Errorf("the history: %w", err)
	}
	return History{
		Requests: requests, Calls: world.AWS.Log(), Token: world.AWS.Token, Refused: world.AWS.Refused(), Absent: world.Absences(began),
	}, nil
}
