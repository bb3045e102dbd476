package docs

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
)

// kubelet does with pods what their images need: it pulls with the Secrets that a pod names, from the registries of the emulated clouds,
// which refuse what the real ones would. A pod that pulls is Running and Ready; the uninstalling pod runs the binary.
func (w *world) kubelet(ctx context.Context) {
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		var pods corev1.PodList
		if err := w.Client.List(ctx, &pods); err != nil {
			continue // the API server stops before this does
		}
		for _, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodPending {
				w.start(ctx, &pod)
			}
		}
	}
}

func (w *world) start(ctx context.Context, pod *corev1.Pod) {
	if pod.Labels["batch.kubernetes.io/job-name"] != "" {
		_ = w.RunPod(ctx, pod.Namespace, pod.Labels, io.Discard)
		return
	}
	for _, c := range pod.Spec.Containers {
		if err := w.pull(ctx, pod, c.Image); err != nil {
			w.report(ctx, pod, c, err)
			return
		}
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	_ = w.Client.Status().Update(ctx, pod)
}

func (w *world) report(ctx context.Context, pod *corev1.Pod, c corev1.Container, err error) {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: c.Name, Image: c.Image, State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: err.Error()},
	}}}
	_ = w.Client.Status().Update(ctx, pod)
}

// pull pulls with each of the pod's Secrets until one is good.
func (w *world) pull(ctx context.Context, pod *corev1.Pod, image string) error {
	transport := w.Internet.Transport()
	defer transport.CloseIdleConnections()
	err := fmt.Errorf("the pod names no Secret to pull with")
	for _, reference := range pod.Spec.ImagePullSecrets {
		var secret corev1.Secret
		if err = w.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: reference.Name}, &secret); err != nil {
			continue
		}
		if _, err = cloud.Pull(ctx, transport, secret.Data[corev1.DockerConfigJsonKey], image); err == nil {
			return nil
		}
	}
	return err
}
