package controllers

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

func TestANamespaceThatFloodsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := inTurn(2, func(t credential.Target) string { return t.Namespace })
		q := o.NewQueue("", o.RateLimiter).(priorityqueue.PriorityQueue[credential.Target])
		defer q.ShutDown()
		for i := range 10_000 {
			q.Add(credential.Target{Credential: credential.Key{Namespace: "bad", Name: fmt.Sprint(i)}, Namespace: "bad"})
		}
		synctest.Wait()
		refresh := credential.Target{Credential: credential.Key{Name: "platform"}, Namespace: "good"}
		q.AddWithOpts(priorityqueue.AddOpts{Priority: new(-300)}, refresh)
		synctest.Wait()
		for range 2 {
			if next, _ := q.Get(); next == refresh {
				return
			}
		}
		t.Error("a neighbour's refresh waits behind the flood")
	})
}

// What one event asks of ten thousand namespaces is a round of all of them: a refresh request, a new spec, another identity.
func TestANewNamespaceDoesNotWaitForARoundOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := inTurn(4, func(t credential.Target) string { return t.Namespace })
		q := o.NewQueue("", o.RateLimiter)
		defer q.ShutDown()
		targetIn := func(namespace string) credential.Target {
			return credential.Target{Credential: credential.Key{Name: "platform"}, Namespace: namespace, Name: "platform"}
		}
		all := concerning(func(context.Context, client.Object) (all []credential.Target) {
			for i := range 10_000 {
				all = append(all, targetIn(fmt.Sprint(i)))
			}
			return all
		})
		before, after := &v1alpha1.ClusterRegistryCredential{}, &v1alpha1.ClusterRegistryCredential{}
		after.ResourceVersion = "2"
		all.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, q)
		synctest.Wait()
		for range 100 {
			item, _ := q.Get()
			q.Done(item)
		}
		one := concerning(func(_ context.Context, o client.Object) []credential.Target {
			return []credential.Target{targetIn(o.GetName())}
		})
		one.Create(t.Context(), event.CreateEvent{Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}}, q)
		synctest.Wait()
		for range 3 {
			item, _ := q.Get()
			if item == targetIn("new") {
				return
			}
			q.Done(item)
		}
		t.Error("a new namespace waits for what was asked of all")
	})
}

func TestEachClusterCredentialHasATurnOfItsOwn(t *testing.T) {
	a, b := credential.Key{Name: "a"}, credential.Key{Name: "b"}
	if owner(a) == owner(b) {
		t.Error("cluster-wide credentials share a turn")
	}
	if a, b := (credential.Key{Namespace: "ns", Name: "a"}), (credential.Key{Namespace: "ns", Name: "b"}); owner(a) != owner(b) {
		t.Error("a namespace has a turn for each of its credentials")
	}
}

// A queue waits by a clock that stands still while a machine sleeps, and that no administrator sets.
func TestAClockThatJumpsIsNoticedWithinHalfAnHour(t *testing.T) {
	for wanted, want := range map[time.Duration]time.Duration{6 * time.Hour: 30 * time.Minute, time.Minute: time.Minute, 0: 0} {
		sleeper := reconcile.TypedFunc[credential.Target](func(context.Context, credential.Target) (reconcile.Result, error) {
			return reconcile.Result{RequeueAfter: wanted}, nil
		})
		if result, _ := (boundedSleep{sleeper}).Reconcile(t.Context(), credential.Target{}); result.RequeueAfter != want {
			t.Errorf("a target that would sleep for %s does so for %s, want %s", wanted, result.RequeueAfter, want)
		}
	}
}
