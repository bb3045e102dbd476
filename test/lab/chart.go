package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Helm runs the helm of tools/go.mod as the administrator, at the top of the repository, and returns what it prints.
func (l *Lab) Helm(ctx context.Context, args ...string) (string, error) {
	helm, err := l.tool(ctx, "helm")
	if err != nil {
		return "", err
	}
	home := filepath.Join(filepath.Dir(l.Kubeconfig()), "helm")
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, helm, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.Root, &stdout, &stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig(),
		"HELM_CACHE_HOME="+home+"/cache", "HELM_CONFIG_HOME="+home+"/config", "HELM_DATA_HOME="+home+"/data")
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// tool builds a tool of tools/go.mod, if it is not in Go's cache yet, and says where it is.
func (l *Lab) tool(ctx context.Context, name string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "-n", name)
	cmd.Dir, cmd.Stderr = l.Root, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s: %w: %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// StartDeployed runs the binary as the Deployment of a release regcred says: with its arguments, and the rights of its ServiceAccount.
func (l *Lab) StartDeployed(ctx context.Context, namespace string, log io.Writer) (*Controller, error) {
	deployment := &appsv1.Deployment{}
	if err := l.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "regcred"}, deployment); err != nil {
		return nil, err
	}
	pod := deployment.Spec.Template.Spec
	// The addresses are this machine's business.
	args := slices.DeleteFunc(slices.Clone(pod.Containers[0].Args), func(arg string) bool { return strings.Contains(arg, "-bind-address=") })
	return l.StartControllerAs(ctx, namespace, pod.ServiceAccountName, log, args...)
}

// RunPod does what a kubelet would with the next pod that has the labels: it runs the binary with the arguments of its container and the
// rights of its ServiceAccount, and reports how that ended.
func (l *Lab) RunPod(ctx context.Context, namespace string, labels map[string]string, log io.Writer) error {
	pod, err := l.awaitPod(ctx, namespace, labels)
	if err != nil {
		return err
	}
	kubeconfig, err := l.addServiceAccount(namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, l.Binary, append([]string{"--kubeconfig=" + kubeconfig}, pod.Spec.Containers[0].Args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	pod.Status.Phase = corev1.PodSucceeded
	if err := cmd.Run(); err != nil {
		pod.Status.Phase = corev1.PodFailed
	}
	return l.Client.Status().Update(ctx, pod)
}

func (l *Lab) awaitPod(ctx context.Context, namespace string, labels map[string]string) (*corev1.Pod, error) {
	w, err := l.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace), client.MatchingLabels(labels))
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		// Not one that has run.
		if pod, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Added && pod.Status.Phase == corev1.PodPending {
			return pod, nil
		}
	}
	return nil, fmt.Errorf("no pod with the labels %v: %w", labels, context.Cause(ctx))
}
