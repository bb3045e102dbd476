package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestOnlyThePullItselfIsAFailedPull(t *testing.T) {
	for _, c := range []struct {
		what, kind, reason, message string
		want                        bool
	}{
		{"a refused pull", "Pod", "Failed", `Failed to pull image "a.example/b:v1": 401 Unauthorized`, true},
		{"what follows from it", "Pod", "Failed", "Error: ErrImagePull", false},
		{"the wait after it", "Pod", "Failed", "Error: ImagePullBackOff", false},
		{"the wait, as an event of its own", "Pod", "BackOff", `Back-off pulling image "a.example/b:v1"`, false},
		{"a container that does not start", "Pod", "Failed", "Error: failed to create containerd task", false},
		{"another object's", "ReplicaSet", "Failed", `Failed to pull image "a.example/b:v1"`, false},
	} {
		event := &corev1.Event{Reason: c.reason, Message: c.message, InvolvedObject: corev1.ObjectReference{Kind: c.kind}}
		if got := isFailedPull(event); got != c.want {
			t.Errorf("%s: got %t, want %t", c.what, got, c.want)
		}
	}
}

func TestPodHasStartedWhenItsContainerRunsOrHasSucceeded(t *testing.T) {
	for _, c := range []struct {
		what  string
		state corev1.ContainerState
		want  bool
	}{
		{"waiting", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}, false},
		{"running", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, true},
		{"succeeded", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}, true},
		{"failed", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}, false},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: c.state}}}}
		if got := hasStarted(pod); got != c.want {
			t.Errorf("%s: got %t, want %t", c.what, got, c.want)
		}
	}
}
