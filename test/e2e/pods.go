package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podOptions differ from pod to pod. The zero value runs until it is told to end, as the default ServiceAccount, and always pulls.
type podOptions struct {
	image       string // default: image
	account     string
	pullSecrets []string
	pullPolicy  corev1.PullPolicy
	life        time.Duration
	labels      map[string]string
	gated       bool // it is not scheduled before the gate is removed
}

func newPod(namespace, name string, o podOptions) *corev1.Pod {
	container := corev1.Container{Name: "app", Image: image, ImagePullPolicy: corev1.PullAlways}
	if o.image != "" {
		container.Image = o.image
	}
	if o.pullPolicy != "" {
		container.ImagePullPolicy = o.pullPolicy
	}
	if o.life > 0 {
		container.Args = []string{o.life.String()}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: o.labels},
		Spec: corev1.PodSpec{
			ServiceAccountName:            o.account,
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			HostNetwork:                   true,
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(1)),
			Containers:                    []corev1.Container{container},
		},
	}
	if o.gated {
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "regcred.test/later"}}
	}
	for _, secret := range o.pullSecrets {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	return pod
}

func (e *e2e) createPod(ctx context.Context, namespace, name string, o podOptions) error {
	return e.lab.Client.Create(ctx, newPod(namespace, name, o))
}

// runs waits until a pod's container has started.
func (e *e2e) runs(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return await(ctx, e, "Pod", &corev1.PodList{}, namespace, name, hasStarted)
}

func (e *e2e) createAndRun(ctx context.Context, namespace, name string, o podOptions) (*corev1.Pod, error) {
	if err := e.createPod(ctx, namespace, name, o); err != nil {
		return nil, err
	}
	return e.runs(ctx, namespace, name)
}

func hasStarted(pod *corev1.Pod) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil || c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 {
			return true
		}
	}
	return false
}

// refused waits until a pod's pull has failed, and returns the words in which the kubelet says so.
func (e *e2e) refused(ctx context.Context, namespace, name string) (string, error) {
	words := ""
	_, err := await(ctx, e, "Event of Pod", &corev1.EventList{}, namespace, "", func(event *corev1.Event) bool {
		if event.InvolvedObject.Name == name && isFailedPull(event) {
			words = event.Message
		}
		return words != ""
	})
	return words, err
}

// stillRuns fails if a pod that was running is not the same that it was, or has restarted.
func (e *e2e) stillRuns(ctx context.Context, before *corev1.Pod) error {
	now := &corev1.Pod{}
	if err := e.lab.Client.Get(ctx, client.ObjectKeyFromObject(before), now); err != nil {
		return fmt.Errorf("a pod that was running: %w", err)
	}
	name := before.Namespace + "/" + before.Name
	if now.UID != before.UID || now.Status.Phase != corev1.PodRunning {
		return fmt.Errorf("pod %s was running and is not any more:%s", name, state(now))
	}
	if restarts := now.Status.ContainerStatuses[0].RestartCount; restarts > 0 {
		return fmt.Errorf("pod %s was running and has restarted", name)
	}
	return nil
}

// failedPull is what the kubelet tells of pulls of one pod that failed in the same way.
type failedPull struct {
	pod     string
	times   int
	last    time.Time // whole seconds
	message string
}

// isFailedPull: the kubelet gives the reason Failed to what follows from a failed pull, too.
func isFailedPull(event *corev1.Event) bool {
	return event.Reason == "Failed" && event.InvolvedObject.Kind == "Pod" && strings.HasPrefix(event.Message, "Failed to pull image")
}

// failedPulls reads the events of a namespace.
func (e *e2e) failedPulls(ctx context.Context, namespace string) ([]failedPull, error) {
	events := &corev1.EventList{}
	err := e.lab.Client.List(ctx, events, client.InNamespace(namespace),
		client.MatchingFields{"reason": "Failed", "involvedObject.kind": "Pod"})
	if err != nil {
		return nil, err
	}
	var failures []failedPull
	for i := range events.Items {
		event := &events.Items[i]
		if !isFailedPull(event) {
			continue
		}
		last := event.LastTimestamp.Time
		if last.IsZero() {
			last = event.EventTime.Time
		}
		failures = append(failures, failedPull{
			pod: event.InvolvedObject.Name, times: int(max(event.Count, 1)), last: last, message: event.Message,
		})
	}
	return failures, nil
}

// count is the number of pulls that failed.
func count(failures []failedPull) int {
	n := 0
	for _, f := range failures {
		n += f.times
	}
	return n
}

// firstOf quotes a failure for an error.
func firstOf(failures []failedPull) string {
	if len(failures) == 0 {
		return ""
	}
	return fmt.Sprintf("; of pod %s: %s", failures[0].pod, failures[0].message)
}
