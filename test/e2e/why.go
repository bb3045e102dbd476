package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	corev1 "k8s.io/api/core/v1"
)

// moment is a time in a sentence, which no two runs share.
var moment = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z`)

// explained fails if `kubectl regcred why` does not give the sentence of a file of testdata. With -update the file is written.
func (e *e2e) explained(ctx context.Context, file, namespace string, args ...string) error {
	var report struct {
		Pulls []struct{ Result, Cause, Note string }
	}
	if err := e.kubectlRegcred(ctx, &report, append([]string{"why", "--namespace=" + namespace, "--node-provider=none"}, args...)...); err != nil {
		return err
	}
	if len(report.Pulls) != 1 {
		return fmt.Errorf("why tells of %d pulls, want 1", len(report.Pulls))
	}
	p := report.Pulls[0]
	got := moment.ReplaceAllString(fmt.Sprintf("%s: %s\n%s\n", p.Result, p.Cause, p.Note), "TIME")
	path := filepath.Join(e.lab.Root, "test", "e2e", "testdata", "why", file+".txt")
	if e.update {
		return os.WriteFile(path, []byte(got), 0o600)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if got != string(want) {
		return fmt.Errorf("why says:\n%s\nand %s (bin/e2e -update writes it):\n%s", got, path, want)
	}
	return nil
}

// explainedOfPod does so for a pod that waits for its image.
func (e *e2e) explainedOfPod(ctx context.Context, file, namespace, name string, more ...string) error {
	_, err := await(ctx, e, "Pod", &corev1.PodList{}, namespace, name, waitsForImage)
	if err != nil {
		return err
	}
	return e.explained(ctx, file, namespace, append([]string{"pod/" + name}, more...)...)
}

// waitsForImage: the kubelet writes the status of a pod a moment after the event.
func waitsForImage(pod *corev1.Pod) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && (w.Reason == "ErrImagePull" || w.Reason == "ImagePullBackOff") {
			return true
		}
	}
	return false
}

// probing has why ask the registry, whose emulator is at this machine.
var probing = []string{"--probe", "--allow-private"}

// probed asks what the ServiceAccount of the namespace would pull with at this moment, without a pod.
func (e *e2e) probed(ctx context.Context, file, namespace string) error {
	return e.explained(ctx, file, namespace, append([]string{image, "--sa=" + own}, probing...)...)
}
