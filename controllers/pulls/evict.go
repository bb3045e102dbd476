package pulls

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// evictTimeout bounds an eviction: the client waits by itself where the API server asks it to.
const evictTimeout = 5 * time.Second

const (
	// recallPage is how many events of earlier evictions are read at once, and recallPages how often.
	recallPage, recallPages = 10, 20
	// maxUID is longer than any UID that the API server makes.
	maxUID = 64
)

// evict has a pod that came before the link created anew by its owner. A pod without a controller is left alone.
func (r *Reconciler) evict(ctx context.Context, p diagnosis.FailedPull, l *investigation, e evidence, key credential.Key) (next, error) {
	now := r.Clock.Now()
	if e.pod.owner == nil {
		return next{}, nil
	}
	owner := e.pod.workload()
	if l.owner == (workload{}) {
		if err := r.recall(ctx, p.Namespace); err != nil {
			return next{}, err
		}
		if !r.evictions.claim(owner, now) {
			return next{}, nil
		}
		l.owner = owner
		if wait := r.evictions.pacer.wait(&l.evict, p.Namespace, now); wait > 0 {
			return next{after: wait}, nil
		}
	}
	if wait := r.evictions.wait(now); wait > 0 {
		l.evict.all = now.Add(wait)
		return next{after: wait}, nil
	}
	evicted, err := r.evictNow(ctx, e.pod)
	r.evictions.settle(owner, evicted, r.Clock.Now())
	if evicted {
		r.Counters.Evicted(key)
	}
	return next{}, err
}

// evictNow asks for the eviction, so that PodDisruptionBudgets hold.
func (r *Reconciler) evictNow(ctx context.Context, pod puller) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, evictTimeout)
	defer cancel()
	err := r.Client.SubResource("eviction").Create(ctx, pod.object(), &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.namespace, Name: pod.name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.uid}},
	})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	case apierrors.IsTooManyRequests(err):
		if r.failing.tell(pod.namespace, pod.uid, v1alpha1.EventEvictionHeld) {
			r.PodEvents.Eventf(pod.object(), nil, corev1.EventTypeNormal, v1alpha1.EventEvictionHeld, "Evict",
				"a PodDisruptionBudget does not let the pod be evicted now: it is tried again at its next failed pull")
		}
		return false, nil
	case apierrors.IsForbidden(err):
		if r.failing.tell(pod.namespace, pod.uid, v1alpha1.EventEvictionHeld) {
			r.PodEvents.Eventf(pod.object(), nil, corev1.EventTypeNormal, v1alpha1.EventEvictionHeld, "Evict",
				"the controller may not evict pods: recreate the pod, or ask the administrator for the right (recoverPods in the chart)")
		}
		return false, nil
	case err != nil:
		return false, err
	}
	r.PodEvents.Eventf(pod.object(), pod.ownerObject(), corev1.EventTypeNormal, v1alpha1.EventEvicted, "Evict",
		"the pod was created before its ServiceAccount was linked: it is evicted, so that %s %s creates it anew", pod.owner.Kind, pod.owner.Name)
	log.FromContext(ctx).Info(v1alpha1.EventEvicted, "owner", pod.owner.Kind+" "+pod.owner.Name)
	return true, nil
}

func (p puller) workload() workload { return workload{p.namespace, p.owner.UID} }

func (p puller) ownerObject() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: p.owner.APIVersion, Kind: p.owner.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.owner.Name, UID: p.owner.UID},
	}
}

// recall asks the events of a namespace, once, which owners' pods a leader before us has evicted. After ten minutes, our own memory is
// enough.
func (r *Reconciler) recall(ctx context.Context, namespace string) error {
	now := r.Clock.Now()
	if now.Sub(r.startedAt) >= evictAgain || r.evictions.recalled(namespace) {
		return nil
	}
	// Others can write such events, too, and of any size: few are read at once, and not all if there are too many.
	var list corev1.EventList
	for range recallPages {
		if err := r.Live.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{"reason": v1alpha1.EventEvicted},
			client.Limit(recallPage), client.Continue(list.Continue)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Related != nil && len(e.Related.UID) <= maxUID && now.Sub(e.EventTime.Time) < evictAgain {
				r.evictions.recall(workload{namespace, e.Related.UID}, e.EventTime.Time)
			}
		}
		if list.Continue == "" {
			break
		}
	}
	r.evictions.known.Put(namespace, struct{}{}) // not before: whoever comes meanwhile, or after a failure, asks as well
	return nil
}
