package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/node"
)

// ownerControllers create the pods of Deployments anew, and tell PodDisruptionBudgets how many there are.
var ownerControllers = []string{"deployment-controller", "replicaset-controller", "disruption-controller"}

const (
	recovering = "recovered"
	loose      = "bare" // a pod that nobody would create anew
	held       = "held" // a Deployment whose pods a PodDisruptionBudget holds
)

// recovered: pods that were created before the credential linked their ServiceAccount, without the policy that would have. One with an
// owner is evicted once and created anew; a bare pod and one that a budget holds are left alone.
//
// The API server asks no budget for a pod that is Pending, as one is whose first pull fails. The pod that is held runs, and a debugging
// container that is added to it does not.
func recovered(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	defer e.discard(ctx, recovering)
	pods, err := e.beforeTheLink(ctx)
	if err != nil {
		return o, err
	}
	if err := e.debug(ctx, pods[held]); err != nil {
		return o, err
	}
	for name, pod := range pods {
		if err := e.told(ctx, recovering, "Pod", pod.Name, v1alpha1.CausePodBeforeLink, "recreate it"); err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := e.told(ctx, recovering, "Pod", pods[doomed].Name, v1alpha1.EventEvicted, "it is evicted"); err != nil {
		return o, err
	}
	if err := e.told(ctx, recovering, "Pod", pods[held].Name, v1alpha1.EventEvictionHeld, "PodDisruptionBudget"); err != nil {
		return o, err
	}
	anew, err := await(ctx, e, "Pod", &corev1.PodList{}, recovering, "", func(pod *corev1.Pod) bool {
		return pod.Labels["app"] == doomed && pod.UID != pods[doomed].UID && hasStarted(pod)
	})
	if err != nil {
		return o, fmt.Errorf("the pod in place of the evicted one: %w", err)
	}
	failures, err := e.failedPulls(ctx, recovering)
	if err != nil {
		return o, err
	}
	o.pods, o.failedPulls = len(pods)+1, count(failures)
	for _, failure := range failures {
		if failure.pod == anew.Name {
			return o, fmt.Errorf("the pod in place of the evicted one failed to pull: %s", failure.message)
		}
	}
	if err := e.evictedOnly(ctx, pods[doomed].Name); err != nil {
		return o, err
	}
	o.note("a Deployment's pod is evicted once, and the new one runs at its first pull")
	for _, name := range []string{loose, held} {
		now := &corev1.Pod{}
		if err := e.lab.Client.Get(ctx, client.ObjectKeyFromObject(pods[name]), now); err != nil || now.UID != pods[name].UID || now.DeletionTimestamp != nil {
			return o, fmt.Errorf("the pod %s is not left alone: %w", name, err)
		}
	}
	o.note("a bare pod is told, and left alone")
	o.note("a PodDisruptionBudget that allows none holds a running pod whose debugging container does not pull")
	return o, nil
}

// beforeTheLink applies the workload and then the credential, and lets the node have the pods when the link is there. So there is no doubt
// about which came first, whichever of the controllers is the faster.
func (e *e2e) beforeTheLink(ctx context.Context) (map[string]*corev1.Pod, error) {
	if err := e.createNamespace(ctx, recovering, false); err != nil {
		return nil, err
	}
	role := "arn:aws:iam::" + cloud.DefaultAccount + ":role/" + recovering
	if err := e.identity(ctx, recovering, role, true, mayPull); err != nil {
		return nil, err
	}
	if err := e.cordon(ctx, true); err != nil {
		return nil, err
	}
	defer e.cordon(ctx, false) //nolint:errcheck // it is done below; this is for a failure in between
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: recovering, Name: held},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": held}},
		},
	}
	for _, object := range []client.Object{
		deployment(doomed, podOptions{account: own}),
		deployment(held, podOptions{account: own, image: node.SandboxImage, pullPolicy: corev1.PullIfNotPresent}),
		budget,
		newPod(recovering, loose, podOptions{account: own, labels: map[string]string{"app": loose}}),
	} {
		if err := e.lab.Client.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	pods := map[string]*corev1.Pod{}
	for _, name := range []string{doomed, held, loose} {
		pod, err := await(ctx, e, "Pod of "+name, &corev1.PodList{}, recovering, "", func(pod *corev1.Pod) bool { return pod.Labels["app"] == name })
		if err != nil {
			return nil, err
		}
		pods[name] = pod
	}
	credential := ownCredential(recovering)
	credential.Spec.ServiceAccounts.RecoverPods = v1alpha1.RecoverPodsEvict
	if err := e.lab.Client.Create(ctx, credential); err != nil {
		return nil, err
	}
	if err := e.linked(ctx, recovering); err != nil {
		return nil, err
	}
	if _, err := e.secret(ctx, recovering, own); err != nil {
		return nil, err
	}
	return pods, e.cordon(ctx, false)
}

func deployment(name string, o podOptions) *appsv1.Deployment {
	o.labels = map[string]string{"app": name}
	pod := newPod(recovering, name, o)
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: recovering, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: o.labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.labels}, Spec: pod.Spec},
		},
	}
}

// cordon keeps pods from the node, or no longer does.
func (e *e2e) cordon(ctx context.Context, keep bool) error {
	patch := fmt.Appendf(nil, `{"spec": {"unschedulable": %t}}`, keep)
	return e.lab.Client.Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}, client.RawPatch("application/merge-patch+json", patch))
}

// debug adds a container to a pod that runs, when the budget knows of the pod.
func (e *e2e) debug(ctx context.Context, pod *corev1.Pod) error {
	running, err := e.runs(ctx, recovering, pod.Name)
	if err != nil {
		return err
	}
	_, err = await(ctx, e, "PodDisruptionBudget", &policyv1.PodDisruptionBudgetList{}, recovering, held, func(b *policyv1.PodDisruptionBudget) bool {
		return b.Status.ObservedGeneration == b.Generation && b.Status.ExpectedPods == 1 && b.Status.CurrentHealthy == 1
	})
	if err != nil {
		return err
	}
	patch := client.StrategicMergeFrom(running.DeepCopy())
	running.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", Image: image, ImagePullPolicy: corev1.PullAlways,
	}}}
	return e.lab.Client.SubResource("ephemeralcontainers").Patch(ctx, running, patch)
}

// evictedOnly fails if another pod than this one has been evicted.
func (e *e2e) evictedOnly(ctx context.Context, name string) error {
	events := &corev1.EventList{}
	if err := e.lab.Client.List(ctx, events, client.InNamespace(recovering), client.MatchingFields{"reason": v1alpha1.EventEvicted}); err != nil {
		return err
	}
	if len(events.Items) != 1 || events.Items[0].InvolvedObject.Name != name {
		return fmt.Errorf("%d evictions, want that of %s alone", len(events.Items), name)
	}
	return nil
}
