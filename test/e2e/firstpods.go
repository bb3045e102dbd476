package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// firstPods: a namespace comes into being together with its first pod, and the pod runs without anybody's help. One that names the Secret
// heals when that appears; one that relies on its ServiceAccount has only the moment of its creation, which the policy makes sure of.
func firstPods(ctx context.Context, e *e2e) (outcome, error) {
	const unlinked, linked = "first-pod", "first-pod-linked"
	var o outcome
	defer e.discard(ctx, unlinked, linked, probes)
	without, err := e.firstPod(ctx, unlinked, podOptions{pullSecrets: []string{shared}})
	if err != nil {
		return o, fmt.Errorf("without the policy: %w", err)
	}
	o.note("without the policy, the pod names the Secret: it runs after %.1f s and %d failed pulls", without.took.Seconds(), without.failures)
	if err := e.installLinkPolicy(ctx); err != nil {
		return o, err
	}
	with, err := e.firstPod(ctx, linked, podOptions{})
	if err != nil {
		return o, fmt.Errorf("with the policy: %w", err)
	}
	o.note("with the policy, the pod names none: it runs after %.1f s and %d failed pulls", with.took.Seconds(), with.failures)
	o.pods, o.failedPulls = 2, without.failures+with.failures
	return o, nil
}

type firstRun struct {
	took     time.Duration
	failures int
}

func (e *e2e) firstPod(ctx context.Context, namespace string, options podOptions) (firstRun, error) {
	objects := []client.Object{
		&corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{pullLabel: "true"}},
		},
		newPod(namespace, "first", options),
	}
	objects[1].GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	file := filepath.Join(e.dir, namespace+".yaml")
	var content []byte
	for _, object := range objects {
		raw, err := yaml.Marshal(object)
		if err != nil {
			return firstRun{}, err
		}
		content = append(append(content, "---\n"...), raw...)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return firstRun{}, err
	}
	began := time.Now()
	if _, err := e.lab.Kubectl(ctx, "apply", "-f", file); err != nil {
		return firstRun{}, err
	}
	if _, err := e.runs(ctx, namespace, "first"); err != nil {
		return firstRun{}, err
	}
	took := time.Since(began)
	failures, err := e.failedPulls(ctx, namespace)
	return firstRun{took, count(failures)}, err
}

const (
	// probeAccount is a name that the shared credential links, and that no namespace has.
	probeAccount = "probe"
	probes       = "policy-probe"
)

// installLinkPolicy returns when the policy is at work, which the API server does not tell.
func (e *e2e) installLinkPolicy(ctx context.Context) error {
	if err := e.install(ctx, true); err != nil {
		return err
	}
	if err := e.createNamespace(ctx, probes, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		probe := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: probes, Name: probeAccount}}
		if err := e.lab.Client.Create(ctx, probe, client.DryRunAll); err == nil && links(probe, shared) {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the policy does not link a new ServiceAccount: %w", ctx.Err())
		}
	}
}
