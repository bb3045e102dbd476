package pulls

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/target"
)

// evidence is all that is known of a pull that failed, and of whom it is known.
type evidence struct {
	diagnosis.Evidence
	pod       puller
	published []target.Publication
}

// puller is a pod whose image is not pulled.
type puller struct {
	diagnosis.Pod
	namespace, name string
	uid             types.UID
	createdAt       time.Time
	// owner is the controller that would create it anew without loss; nil if nobody would.
	owner *metav1.OwnerReference
}

// holdingOf is what a publication has for an image.
func holdingOf(p target.Publication, i diagnosis.Image) diagnosis.Holding {
	c := p.Credential
	h := diagnosis.Holding{Credential: c.String(), Secret: c.SecretName()}
	if accounts := c.Spec.ServiceAccounts; accounts != nil {
		h.Recovers = accounts.RecoverPods == v1alpha1.RecoverPodsEvict && !c.Spec.Suspend
	}
	for n := range c.Spec.Registries {
		entry := &c.Spec.Registries[n]
		rec, known := p.Records[entry.Name]
		if !known {
			if h.Missing == "" {
				h.Missing = entry.Name
			}
			continue
		}
		h.Cover(i, entry, rec.Hosts, rec.ExpiresAt)
	}
	name := h.Missing
	if h.Covering != nil {
		name = h.Covering.Entry.Name
	}
	if f := p.Failure(name); f != nil {
		h.Failure = f.Message
	}
	return h
}

// evidence completes what is known by the pod's ServiceAccount.
func (r *Reconciler) evidence(ctx context.Context, i diagnosis.Image, failed diagnosis.FailedPull, pod puller, published []target.Publication) (evidence, error) {
	e := evidence{pod: pod, published: published, Evidence: diagnosis.Evidence{
		Image: i, Pod: pod.Pod, WithLogin: failed.WithLogin, Mirror: failed.Mirror, Now: r.Clock.Now()}}
	for _, p := range published {
		h := holdingOf(p, i)
		h.Recovers = h.Recovers && pod.owner != nil
		e.Holdings = append(e.Holdings, h)
	}
	if pod.owner != nil {
		e.Recreated = r.evictions.recreated(pod.workload(), pod.createdAt, r.Clock.Now())
	}
	sa := &corev1.ServiceAccount{}
	if err := r.Cache.Get(ctx, client.ObjectKey{Namespace: pod.namespace, Name: pod.Account}, sa, client.UnsafeDisableDeepCopy); err != nil {
		return e, client.IgnoreNotFound(err)
	}
	e.Linked = namesOf(sa.ImagePullSecrets)
	for n := range published {
		e.Holdings[n].Wanted = published[n].Credential.Links(sa)
	}
	return e, nil
}

// about is the publication that a holding is of.
func (e evidence) about(h *diagnosis.Holding) target.Publication {
	return e.published[slices.IndexFunc(e.published, func(p target.Publication) bool { return p.Credential.String() == h.Credential })]
}

// secret is the Secret of a credential in the pod's namespace.
func (e evidence) secret(c *credential.Credential) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: e.pod.namespace, Name: c.SecretName()},
	}
}

func pullerOf(pod *corev1.Pod) *puller {
	p := &puller{
		namespace: pod.Namespace, name: pod.Name, uid: pod.UID, createdAt: pod.CreationTimestamp.Time,
		Pod: diagnosis.Pod{Account: pod.Spec.ServiceAccountName, Secrets: namesOf(pod.Spec.ImagePullSecrets)},
	}
	// A node's static pods belong to it, and the API server holds but their mirrors.
	owner := metav1.GetControllerOf(pod)
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror && recreates(owner) {
		p.owner = owner
	}
	return p
}

// recreates says whether an owner makes a pod that is gone anew, and nothing is lost by that. A Job counts it as a failure.
func recreates(owner *metav1.OwnerReference) bool {
	if owner == nil {
		return false
	}
	switch owner.APIVersion + "/" + owner.Kind {
	case "apps/v1/ReplicaSet", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "v1/ReplicationController":
		return true
	}
	return false
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
	wanted, _ := diagnosis.ParseImage(ref)
	for _, c := range containers(pod) {
		if i, ok := diagnosis.ParseImage(c.image); ok && i == wanted && !slices.ContainsFunc(statuses(pod), func(s corev1.ContainerStatus) bool {
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
