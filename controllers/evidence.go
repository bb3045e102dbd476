package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// holdings finds what the credentials of a namespace have for an image. It asks the cache alone.
func (r *PullReconciler) holdings(ctx context.Context, namespace string, i image) ([]holding, error) {
	ns, err := r.Targets.namespace(ctx, namespace)
	if err != nil || ns == nil || r.Targets.Excluded.Has(namespace) {
		return nil, err
	}
	var all []holding
	for _, c := range r.selecting(ctx, ns) {
		t := Target{c.Key, namespace}
		secret, err := r.Targets.observedSecret(ctx, r.Targets.Cache, t)
		if err != nil {
			return nil, err
		}
		h := holdingOf(c, observe(secret), i)
		h.failure = r.Targets.Ledger.failure(t, h)
		all = append(all, h)
	}
	return all, nil
}

// selecting are the credentials whose Secret belongs into the namespace. They are found once a second, however much fails there.
func (r *PullReconciler) selecting(ctx context.Context, ns client.Object) []*credential {
	now := r.Targets.Clock.Now()
	r.selected.mu.Lock()
	defer r.selected.mu.Unlock()
	if now.Sub(r.selected.at) >= time.Second || r.selected.in == nil {
		r.selected.at, r.selected.in = now, map[string][]*credential{}
	}
	found, known := r.selected.in[ns.GetName()]
	if known {
		return found
	}
	for _, c := range (mapping{cache: r.Targets.Cache}).credentials(ctx, ns.GetName()) {
		if c.object.GetDeletionTimestamp().IsZero() && c.selects(ns) {
			found = append(found, c)
		}
	}
	r.selected.in[ns.GetName()] = found
	return found
}

// selections are the credentials of namespaces, as they were lately.
type selections struct {
	mu sync.Mutex
	at time.Time
	in map[string][]*credential
}

func holdingOf(c *credential, o observed, i image) holding {
	h := holding{credential: c}
	whole := trusted(c, o)
	for _, entry := range c.spec.Registries {
		rec, known := o.records[entry.Name]
		if !known || !whole {
			if h.missing == "" {
				h.missing = entry.Name
			}
			continue
		}
		if at := slices.IndexFunc(rec.Hosts, i.under); at >= 0 && h.covering == nil {
			h.covering, h.key = &rec, rec.Hosts[at]
		}
	}
	return h
}

// failure is why a target lacks what it should have, as far as the Ledger knows.
func (l *Ledger) failure(t Target, h holding) *failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.books[t.Credential]
	if b == nil {
		return nil
	}
	stands := b.targets[t.Namespace]
	if stands.failure != nil {
		return stands.failure
	}
	name := h.missing
	if h.covering != nil {
		name = h.covering.Name
	}
	return stands.entry(name).failure
}

// evidence completes what is known by the pod's ServiceAccount.
func (r *PullReconciler) evidence(ctx context.Context, i image, pod puller, holdings []holding) (evidence, error) {
	e := evidence{image: i, pod: pod, holdings: holdings, now: r.Targets.Clock.Now()}
	if pod.owner != nil {
		e.recreated = r.evictions.recreated(pod.owner.UID, pod.createdAt)
	}
	sa := &corev1.ServiceAccount{}
	if err := r.Targets.Cache.Get(ctx, client.ObjectKey{Namespace: pod.namespace, Name: pod.account}, sa); err != nil {
		return e, client.IgnoreNotFound(err)
	}
	e.linked = namesOf(sa.ImagePullSecrets)
	for n := range holdings {
		wanted, err := holdings[n].credential.links(sa)
		if err != nil {
			return e, err
		}
		holdings[n].wanted = wanted
	}
	return e, nil
}

func pullerOf(pod *corev1.Pod) *puller {
	p := &puller{
		namespace: pod.Namespace, name: pod.Name, uid: pod.UID, createdAt: pod.CreationTimestamp.Time,
		account: pod.Spec.ServiceAccountName, secrets: namesOf(pod.Spec.ImagePullSecrets),
	}
	// A node's static pods belong to it, and the API server holds but their mirrors.
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		p.owner = metav1.GetControllerOf(pod)
	}
	return p
}

func namesOf(references []corev1.LocalObjectReference) []string {
	names := make([]string, len(references))
	for i, ref := range references {
		names[i] = ref.Name
	}
	return names
}

// fails says whether a container of the pod waits for the image. What an event says may be over, or untrue: whoever may write events
// does not choose the images that we ask registries for.
func fails(pod *corev1.Pod, ref string) bool {
	wanted, _ := parseImage(ref)
	for _, c := range containers(pod) {
		if i, ok := parseImage(c.image); ok && i == wanted && !slices.ContainsFunc(statuses(pod), func(s corev1.ContainerStatus) bool {
			return s.Name == c.name && (s.State.Running != nil || s.State.Terminated != nil)
		}) {
			return true
		}
	}
	return false
}

type container struct{ name, image string }

func containers(pod *corev1.Pod) []container {
	var all []container
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		all = append(all, container{c.Name, c.Image})
	}
	for _, c := range pod.Spec.EphemeralContainers {
		all = append(all, container{c.Name, c.Image})
	}
	for _, v := range pod.Spec.Volumes {
		if v.Image != nil {
			all = append(all, container{"", v.Image.Reference})
		}
	}
	return all
}

func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses)
}
