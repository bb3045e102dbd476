package why

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// subject is somebody who pulls images: a pod, or what would make one.
type subject struct {
	namespace, name string
	uid             string
	account         string
	secrets         []string
	// made is whether it is a pod: then its list is what it is.
	made   bool
	images []string
	// waiting are the words of containers that wait for their image.
	waiting map[string]string
	// running are the images of containers that have started.
	running []string
}

func subjectOf(name string, meta *metav1.ObjectMeta, spec *corev1.PodSpec) *subject {
	s := &subject{namespace: meta.Namespace, name: name, account: spec.ServiceAccountName, waiting: map[string]string{}}
	if s.account == "" {
		s.account = "default"
	}
	for _, ref := range spec.ImagePullSecrets {
		s.secrets = append(s.secrets, ref.Name)
	}
	s.images = cluster.Images(spec)
	return s
}

// unpulled are the reasons of containers that wait for their image (pkg/kubelet/images/types.go).
var unpulled = []string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"}

func podSubject(pod *corev1.Pod) *subject {
	s := subjectOf("pod/"+pod.Name, &pod.ObjectMeta, &pod.Spec)
	s.uid, s.made = string(pod.UID), true
	images := map[string]string{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		images[c.Name] = c.Image
	}
	for _, c := range pod.Spec.EphemeralContainers {
		images[c.Name] = c.Image
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses) {
		switch w := c.State.Waiting; {
		case w != nil && slices.Contains(unpulled, w.Reason):
			s.waiting[images[c.Name]] = w.Message
		case c.State.Running != nil || c.State.Terminated != nil:
			s.running = append(s.running, images[c.Name])
		}
	}
	return s
}

// failing says whether a pod waits for an image.
func (s *subject) failing() bool { return len(s.waiting) > 0 }

// workload is a kind of what makes pods.
type workload struct {
	// name is the kind as the commands write it, and names are the other ways to write it. All may end with the kind's group.
	name  string
	names []string
	group string
	// object is a new one, and where its pods' spec will be.
	object func() (client.Object, *corev1.PodSpec)
}

var workloads = []workload{
	{"pod", []string{"pods", "po"}, "", nil},
	{"deploy", []string{"deployment", "deployments"}, "apps", func() (client.Object, *corev1.PodSpec) {
		o := &appsv1.Deployment{}
		return o, &o.Spec.Template.Spec
	}},
	{"rs", []string{"replicaset", "replicasets"}, "apps", func() (client.Object, *corev1.PodSpec) {
		o := &appsv1.ReplicaSet{}
		return o, &o.Spec.Template.Spec
	}},
	{"sts", []string{"statefulset", "statefulsets"}, "apps", func() (client.Object, *corev1.PodSpec) {
		o := &appsv1.StatefulSet{}
		return o, &o.Spec.Template.Spec
	}},
	{"ds", []string{"daemonset", "daemonsets"}, "apps", func() (client.Object, *corev1.PodSpec) {
		o := &appsv1.DaemonSet{}
		return o, &o.Spec.Template.Spec
	}},
	{"job", []string{"jobs"}, "batch", func() (client.Object, *corev1.PodSpec) {
		o := &batchv1.Job{}
		return o, &o.Spec.Template.Spec
	}},
	{"cronjob", []string{"cronjobs", "cj"}, "batch", func() (client.Object, *corev1.PodSpec) {
		o := &batchv1.CronJob{}
		return o, &o.Spec.JobTemplate.Spec.Template.Spec
	}},
}

// others are kinds that pull nothing: before a slash they are meant as kinds, and not as somebody's images on Docker Hub.
var others = strings.Fields(`replicationcontroller rc service svc node no namespace ns serviceaccount sa secret configmap cm ingress ing
	endpoints ep event ev regcred registrycredential cregcred clusterregistrycredential`)

// workloadOf is the kind that an argument begins with; nil if that is none.
func workloadOf(kind string) *workload {
	kind = strings.ToLower(kind)
	at := slices.IndexFunc(workloads, func(w workload) bool {
		plain := strings.TrimSuffix(kind, "."+w.group)
		return plain == w.name || slices.Contains(w.names, plain)
	})
	if at < 0 {
		return nil
	}
	return &workloads[at]
}

// isOther says whether it is the name of a kind that pulls nothing.
func isOther(kind string) bool {
	kind = strings.ToLower(kind)
	return slices.Contains(others, kind) || slices.Contains(others, strings.TrimSuffix(kind, "s"))
}

// find reads the one that an argument names.
func (w *workload) find(ctx context.Context, k *cluster.Cluster, namespace, name string) (*subject, error) {
	if name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%s/%s: write %s/ and a name", w.name, name, w.name)
	}
	if w.object == nil {
		pod := &corev1.Pod{}
		if err := get(ctx, k, namespace, name, pod, w.name); err != nil {
			return nil, err
		}
		return podSubject(pod), nil
	}
	o, spec := w.object()
	if err := get(ctx, k, namespace, name, o, w.name); err != nil {
		return nil, err
	}
	return subjectOf(w.name+"/"+name, &metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}, spec), nil
}

func get(ctx context.Context, k *cluster.Cluster, namespace, name string, o client.Object, kind string) error {
	switch there, err := k.Read(ctx, namespace, name, o); {
	case err != nil:
		return err
	case there == cluster.Absent:
		return fmt.Errorf("there is no %s/%s in namespace %s", kind, name, namespace)
	case there == cluster.Unreadable:
		return cli.Unread(fmt.Sprintf("%s/%s in namespace %s may not be read; %s", kind, name, namespace, strings.Join(k.Gaps(), "; ")))
	default:
		return nil
	}
}

// words is what the kubelet has said last of an image that the pod waits for: in an event, or else in the pod's status.
func (s *subject) words(image, event string) (diagnosis.FailedPull, string, bool) {
	status, waits := s.waiting[image]
	if !waits {
		return diagnosis.FailedPull{}, "", false
	}
	texts := []string{event}
	if _, mere := strings.CutPrefix(status, "Back-off pulling image"); !mere || strings.Contains(status, "ErrImagePull: ") {
		texts = append(texts, fmt.Sprintf("Failed to pull image %q: %s", image, status))
	}
	for _, text := range texts {
		pull, ok := diagnosis.FailedPullOf(&corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: s.namespace},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: s.namespace, Name: s.name, UID: "known"},
			Source:         corev1.EventSource{Component: "kubelet"}, Message: text,
		})
		if ok {
			return pull, text, true
		}
	}
	return diagnosis.FailedPull{}, "", false
}
