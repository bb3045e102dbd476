package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
)

const (
	// stormPods are how many pods fail at once, and stormWatched how long the controller is watched after that.
	stormPods    = 5000
	stormWatched = time.Minute
	stormName    = "storm"
)

// storm makes very many pods fail at once that came before their link, and looks at what that costs the controller.
func (b *bench) storm(ctx context.Context) error {
	progress("creating %d pods", stormPods)
	if err := b.prepareStorm(ctx); err != nil {
		return err
	}
	before, err := b.controller.Usage()
	if err != nil {
		return err
	}
	b.AWS.ResetCalls()
	progress("all of them fail, watched for %s", stormWatched)
	start := time.Now()
	peak := before.RSS - before.FileRSS
	failed := make(chan error, 1)
	go func() {
		failed <- forEach(ctx, stormPods, func(ctx context.Context, i int) error { return b.failPod(ctx, i) })
	}()
	for time.Since(start) < stormWatched {
		if err := observe(ctx, 250*time.Millisecond); err != nil {
			return err
		}
		now, err := b.controller.Usage()
		if err != nil {
			return err
		}
		peak = max(peak, now.RSS-now.FileRSS)
	}
	if err := <-failed; err != nil {
		return err
	}
	return b.reportStorm(start, peak-(before.RSS-before.FileRSS))
}

func (b *bench) reportStorm(start time.Time, grown int64) error {
	end := time.Now()
	evictions, err := b.AuditRequests(start, func(r controlplane.AuditRequest) bool {
		return r.User == controllerUser && r.Subresource == "eviction" && r.Time.Before(end)
	})
	if err != nil {
		return err
	}
	requests, err := b.requestsBetween(start, end)
	if err != nil {
		return err
	}
	times := make([]time.Time, len(evictions))
	for i, r := range evictions {
		times[i] = r.Time
	}
	s := b.report.section(fmt.Sprintf("%d pods fail to pull at once, watched for %s", stormPods, stormWatched))
	s.add(figure{ID: "storm-memory", Name: "growth of memory at its peak", Value: mebibytes(grown), Unit: " MiB", Digits: 1, Target: atMost(16)})
	s.add(figure{ID: "storm-evictions", Name: "evictions", Value: float64(len(times)), Target: atLeast(1)})
	s.add(figure{ID: "storm-rate", Name: "evictions in any second, at most", Value: float64(mostInASecond(times)), Target: atMost(5)})
	s.add(figure{ID: "storm-calls", Name: "cloud calls", Value: float64(b.AWS.Calls().Of(mintAction)), Target: exactly(0)})
	s.list("requests of the controller", requests)
	return nil
}

// mostInASecond is the largest number of times in any second.
func mostInASecond(times []time.Time) int {
	slices.SortFunc(times, time.Time.Compare)
	most, first := 0, 0
	for i, at := range times {
		for at.Sub(times[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (b *bench) prepareStorm(ctx context.Context) error {
	if err := b.createNamespace(ctx, stormName, stormName); err != nil {
		return err
	}
	err := b.Client.Create(ctx, clusterCredential(stormName, stormName, &v1alpha1.ServiceAccounts{Names: []string{"default"}, RecoverPods: v1alpha1.RecoverPodsEvict}))
	if err != nil {
		return err
	}
	if err := forEach(ctx, stormPods, func(ctx context.Context, i int) error { return b.Client.Create(ctx, stormPod(i)) }); err != nil {
		return err
	}
	for {
		sa := &corev1.ServiceAccount{}
		if err := b.Client.Get(ctx, client.ObjectKey{Namespace: stormName, Name: "default"}, sa); err != nil || len(sa.ImagePullSecrets) > 0 {
			return err
		}
		if err := observe(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// stormPod has an owner of its own, so that each may be evicted. Nobody here would create it anew.
func stormPod(i int) *corev1.Pod {
	name := fmt.Sprintf("app-%04d", i)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: stormName, Name: name}}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name, UID: types.UID(name), Controller: new(true)}}
	pod.Spec.ServiceAccountName = "default"
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: stormImage}}
	return pod
}

const stormImage = cloud.DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com/team/app:v1"

// failPod makes the event of a kubelet.
func (b *bench) failPod(ctx context.Context, i int) error {
	pod := &corev1.Pod{}
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: stormName, Name: fmt.Sprintf("app-%04d", i)}, pod); err != nil {
		return err
	}
	now := metav1.Now()
	return b.Client.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: stormName, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: stormName, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"},
		Reason:         "Failed", Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "kubelet", Host: "node-1"},
		Message: fmt.Sprintf("Failed to pull image %q: failed to pull and unpack image %q: failed to resolve reference %q: "+
			"pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials", stormImage, stormImage, stormImage),
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
}

// stormOnly measures a storm and nothing else.
func (b *bench) stormOnly(ctx context.Context) error {
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	return b.storm(ctx)
}
