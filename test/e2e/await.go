package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// patience is how long a pod or an object may take on a machine that is busy with other things. It bounds a failure, and no success
// waits for it. It is longer than the kubelet's back-off after the third failed pull.
const patience = 2 * time.Minute

// await waits until an object of this name, or any of the namespace if that is empty, is as wanted, and returns it.
func await[T client.Object](
	ctx context.Context, e *e2e, kind string, list client.ObjectList, namespace, name string, wanted func(T) bool,
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last T
	what := fmt.Sprintf("%s %s/%s", kind, namespace, name)
	options := []client.ListOption{client.InNamespace(namespace)}
	if name != "" {
		options = append(options, client.MatchingFields{"metadata.name": name})
	}
	w, err := e.lab.Client.Watch(ctx, list, options...)
	if err != nil {
		return last, fmt.Errorf("watching %s: %w", what, err)
	}
	defer w.Stop()
	seen := false
	for {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				return last, errors.Join(fmt.Errorf("waiting for %s: the watch has ended", what), ctx.Err())
			}
			object, ok := event.Object.(T)
			if !ok || event.Type == watch.Deleted {
				continue
			}
			last, seen = object, true
			if wanted(object) {
				return object, nil
			}
		case <-ctx.Done():
			if !seen {
				return last, fmt.Errorf("waiting for %s: it does not exist: %w", what, ctx.Err())
			}
			return last, fmt.Errorf("waiting for %s: it is not as it should be: %w%s", what, ctx.Err(), state(last))
		}
	}
}

// state is what a credential or a pod says of itself.
func state(object client.Object) string {
	if credential, ok := object.(*v1alpha1.RegistryCredential); ok {
		var words strings.Builder
		for _, r := range credential.Status.Registries {
			fmt.Fprintf(&words, " (%s: %s %s)", r.Name, r.Reason, r.Message)
		}
		return words.String()
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return ""
	}
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			return fmt.Sprintf(" (%s: %s %s)", pod.Status.Phase, c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil:
			return fmt.Sprintf(" (%s: %s %s)", pod.Status.Phase, c.State.Terminated.Reason, c.State.Terminated.Message)
		}
	}
	return fmt.Sprintf(" (%s %s)", pod.Status.Phase, pod.Status.Message)
}

// secretChanged waits until a Secret holds something else than before, and fails if it is not the same object.
func (e *e2e) secretChanged(ctx context.Context, before *corev1.Secret) (*corev1.Secret, error) {
	after, err := await(ctx, e, "Secret", &corev1.SecretList{}, before.Namespace, before.Name, func(s *corev1.Secret) bool {
		return string(s.Data[corev1.DockerConfigJsonKey]) != string(before.Data[corev1.DockerConfigJsonKey])
	})
	if err != nil {
		return nil, err
	}
	if after.UID != before.UID {
		return nil, fmt.Errorf("the Secret %s/%s was replaced instead of written in place", before.Namespace, before.Name)
	}
	return after, nil
}

// secret waits for a Secret with a token in it.
func (e *e2e) secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return await(ctx, e, "Secret", &corev1.SecretList{}, namespace, name, func(s *corev1.Secret) bool {
		return len(s.Data[corev1.DockerConfigJsonKey]) > 0
	})
}
