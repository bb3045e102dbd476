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
	for _, image := range imagesOf(spec) {
		if !slices.Contains(s.images, image) {
			s.images = append(s.images, image)
		}
	}
	return s
}

func imagesOf(spec *corev1.PodSpec) []string {
	var images []string
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		images = append(images, c.Image)
	}
	for _, c := range spec.EphemeralContainers {
		images = append(images, c.Image)
	}
	for _, v := range spec.Volumes {
		if v.Image != nil {
			images = append(images, v.Image.Reference)
		}
	}
	return images
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

// find reads what an argument names: pod/x, deploy/x, sts/x, ds/x, job/x, cronjob/x.
func find(ctx context.Context, k *cluster.Cluster, namespace, kind, name string) (*subject, error) {
	var o client.Object
	var template func() *corev1.PodSpec
	switch strings.TrimSuffix(strings.ToLower(kind), "s") {
	case "pod", "po":
		pod := &corev1.Pod{}
		if err := get(ctx, k, namespace, name, pod, "pod"); err != nil {
			return nil, err
		}
		return podSubject(pod), nil
	case "deploy", "deployment":
		d := &appsv1.Deployment{}
		o, template, kind = d, func() *corev1.PodSpec { return &d.Spec.Template.Spec }, "deploy"
	case "st", "statefulset":
		d := &appsv1.StatefulSet{}
		o, template, kind = d, func() *corev1.PodSpec { return &d.Spec.Template.Spec }, "sts"
	case "d", "daemonset":
		d := &appsv1.DaemonSet{}
		o, template, kind = d, func() *corev1.PodSpec { return &d.Spec.Template.Spec }, "ds"
	case "job":
		d := &batchv1.Job{}
		o, template, kind = d, func() *corev1.PodSpec { return &d.Spec.Template.Spec }, "job"
	case "cronjob", "cj":
		d := &batchv1.CronJob{}
		o, template, kind = d, func() *corev1.PodSpec { return &d.Spec.JobTemplate.Spec.Template.Spec }, "cronjob"
	default:
		return nil, fmt.Errorf("%s/%s: write pod/, deploy/, sts/, ds/, job/ or cronjob/ and a name, or an image with --sa", kind, name)
	}
	if err := get(ctx, k, namespace, name, o, kind); err != nil {
		return nil, err
	}
	return subjectOf(kind+"/"+name, &metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}, template()), nil
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

// kinds are the kinds in front of a name; what begins otherwise is an image.
var kinds = []string{"pod", "pods", "po", "deploy", "deployment", "deployments", "sts", "statefulset", "statefulsets", "ds", "daemonset", "daemonsets", "job", "jobs", "cronjob", "cronjobs", "cj"}

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
