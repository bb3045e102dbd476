package chart

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func tryRecoverPods(s *stand) {
	const spec = "registries: [%s]\nserviceAccounts: {names: [%s]%s}"
	one, two := s.name+"-1", s.name+"-2"
	early := s.earlyPod(one)
	s.apply(spec, byLogin, one, ", recoverPods: Evict")
	s.published("the login", anySecret)
	s.linked(one, true)
	s.pullsUntil(early, "the pod to be evicted, or held", func() bool {
		if s.evicts {
			return apierrors.IsNotFound(world.Client.Get(s.Context(), client.ObjectKeyFromObject(early), &corev1.Pod{}))
		}
		return s.tells(s.target, early.Name, v1alpha1.EventEvictionHeld, "the controller may not evict pods")
	})
	early = s.earlyPod(two)
	s.apply(spec, byLogin, two, "")
	s.linked(two, true)
	s.pullsUntil(early, "an event that tells why", func() bool { return s.tells(s.target, early.Name, v1alpha1.CausePodBeforeLink, "") })
	must(s.T, world.Client.Get(s.Context(), client.ObjectKeyFromObject(early), early))
	s.refuses(`supported values: "Evict"`, spec, byLogin, two, ", recoverPods: Never")
}

// earlyPod is created by an owner for a ServiceAccount of its name that is not linked yet.
func (s *stand) earlyPod(account string) *corev1.Pod {
	s.Helper()
	s.account(account, nil)
	app := map[string]string{"app": account}
	container := corev1.Container{Name: "app", Image: host + "/app:v1"}
	owner := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: account}}
	owner.Spec.Replicas, owner.Spec.Selector, owner.Spec.Template.Labels = new(int32(0)), &metav1.LabelSelector{MatchLabels: app}, app
	owner.Spec.Template.Spec.Containers = []corev1.Container{container}
	must(s.T, world.Client.Create(s.Context(), owner))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: account}}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner.Name, UID: owner.UID, Controller: new(true)}}
	pod.Spec.Containers, pod.Spec.ServiceAccountName = []corev1.Container{container}, account
	must(s.T, world.Client.Create(s.Context(), pod))
	return pod
}

// pullsUntil has the pod fail to pull again and again, as the controller may see the link a moment later than we do.
func (s *stand) pullsUntil(pod *corev1.Pod, what string, done func() bool) {
	s.Helper()
	const again = time.Second
	var last time.Time
	s.eventually(what, func() bool {
		if time.Since(last) > again {
			last = time.Now()
			s.pullFails(pod)
		}
		return done()
	})
}

// pullFails says so as a kubelet does.
func (s *stand) pullFails(pod *corev1.Pod) {
	s.Helper()
	image, now := pod.Spec.Containers[0].Image, metav1.Now()
	must(s.T, world.Client.Create(s.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"},
		Message: fmt.Sprintf("Failed to pull image %q: rpc error: code = Unknown desc = failed to pull and unpack image %q: failed to resolve reference %q: "+
			"pulling from host %s failed with status code [manifests v1]: 401 Unauthorized", image, image, image, host),
		Reason: "Failed", Type: corev1.EventTypeWarning, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", ReportingInstance: "node-1",
	}))
}
