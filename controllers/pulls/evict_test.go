package pulls

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
)

// evicting is a world with a credential that evicts.
func evicting(t *testing.T) (p *world, ns string) {
	t.Helper()
	p, ns = newWorld(t)
	p.publish(ns, func(spec *v1alpha1.ClusterCredentialSpec) {
		spec.ServiceAccounts.RecoverPods = v1alpha1.RecoverPodsEvict
	})
	p.lead()
	return p, ns
}

// ownedBy makes a ReplicaSet of this UID the pod's controller.
func ownedBy(uid string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: "app-" + uid, UID: types.UID(uid), Controller: new(true),
		}}
	}
}

// there says whether the pod is still there.
func (p *world) there(pod *corev1.Pod) bool {
	p.Helper()
	err := p.admin.Get(p.Context(), client.ObjectKeyFromObject(pod), &corev1.Pod{})
	if !apierrors.IsNotFound(err) {
		p.must(err)
	}
	return err == nil
}

func TestAPodThatCameBeforeTheLinkIsEvicted(t *testing.T) {
	p, ns := evicting(t)
	pod := p.pod(ns, "app", imageIn("eu-west-1"), ownedBy("1"))
	p.fail(pod, unauthorized)
	p.settle()
	if p.there(pod) {
		t.Error("the pod is still there")
	}
	if told := p.told(); !containsAll(told, "Warning "+v1alpha1.CausePodBeforeLink, "Normal "+v1alpha1.EventEvicted, "so that ReplicaSet app-1 creates it anew") {
		t.Errorf("told: %s", told)
	}
	if p.counted.evictions[ns] != 1 {
		t.Errorf("evictions that were counted: %v", p.counted.evictions)
	}
}

func TestOtherPodsAreNeverEvicted(t *testing.T) {
	p, ns := evicting(t)
	unlinked := func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "other" }
	p.serviceAccount(ns, "other")
	for name, c := range map[string]struct {
		image   string
		changes []func(*corev1.Pod)
		text    string
	}{
		"without a controller":                {},
		"with an owner that is no controller": {changes: []func(*corev1.Pod){ownedBy("o1"), func(pod *corev1.Pod) { pod.OwnerReferences[0].Controller = nil }}},
		"of a node": {changes: []func(*corev1.Pod){ownedBy("o2"), func(pod *corev1.Pod) {
			pod.Annotations, pod.Spec.NodeName = map[string]string{corev1.MirrorPodAnnotationKey: "x"}, "node-1"
		}}},
		"with the Secret":                     {changes: []func(*corev1.Pod){ownedBy("o3"), names(ns)}},
		"with a list of its own":              {changes: []func(*corev1.Pod){ownedBy("o4"), names("mine")}},
		"of a ServiceAccount without link":    {changes: []func(*corev1.Pod){ownedBy("o5"), unlinked}},
		"from a registry that is not covered": {image: imageIn("eu-west-2"), changes: []func(*corev1.Pod){ownedBy("o6")}},
		"for want of a network":               {changes: []func(*corev1.Pod){ownedBy("o7")}, text: "dial tcp 10.0.0.1:443: i/o timeout"},
	} {
		if c.image == "" {
			c.image = imageIn("eu-west-1")
		}
		if c.text == "" {
			c.text = unauthorized
		}
		pod := p.pod(ns, fmt.Sprintf("p%d", time.Now().UnixNano()), c.image, func(pod *corev1.Pod) {
			for _, change := range c.changes {
				change(pod)
			}
		})
		p.fail(pod, c.text)
		p.settle()
		if !p.there(pod) {
			t.Errorf("a pod %s was evicted", name)
		}
		if told := p.told(); told == "" && c.text == unauthorized {
			t.Errorf("a pod %s was not looked at", name)
		}
	}

	left, ns := newWorld(t)
	pod := left.pod(ns, "app", imageIn("eu-west-1"), ownedBy("1"))
	left.fail(pod, unauthorized)
	left.settle()
	if !left.there(pod) {
		t.Error("a pod was evicted although recoverPods is absent")
	}
}

func TestOnePodOfAnOwnerIsEvictedInTenMinutes(t *testing.T) {
	p, ns := evicting(t)
	first, second := p.pod(ns, "a", imageIn("eu-west-1"), ownedBy("1")), p.pod(ns, "b", imageIn("eu-west-1"), ownedBy("1"))
	p.fail(first, unauthorized)
	p.fail(second, unauthorized)
	p.settle()
	if p.there(first) == p.there(second) {
		t.Fatalf("a is there: %t, b is there: %t, want one of them", p.there(first), p.there(second))
	}
	if p.there(first) {
		second = first
	}
	p.step(evictAgain - 2*time.Second)
	p.fail(second, unauthorized)
	p.settle()
	if !p.there(second) {
		t.Fatal("another pod of the owner was evicted within ten minutes")
	}
	p.step(time.Minute)
	p.fail(second, unauthorized)
	p.settle()
	if p.there(second) {
		t.Error("the second pod was left alone after ten minutes")
	}
}

// forgetful has no events.
type forgetful struct{ client.Reader }

func (forgetful) List(context.Context, client.ObjectList, ...client.ListOption) error { return errDown }

func TestANewLeaderKnowsTheEvictionsOfTheLast(t *testing.T) {
	p, ns := evicting(t)
	pod := p.pod(ns, "b", imageIn("eu-west-1"), ownedBy("1"))
	// As the last leader's recorder has written it.
	p.must(p.admin.Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: "evicted"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: ns, Name: "a"},
		Related:        &corev1.ObjectReference{Kind: "ReplicaSet", Namespace: ns, Name: "app-1", UID: "1"},
		Reason:         v1alpha1.EventEvicted, Action: "Evict", Type: corev1.EventTypeNormal, EventTime: metav1.NewMicroTime(p.time.Now()),
		ReportingController: "regcred", ReportingInstance: "regcred-0",
	}))
	p.step(5 * time.Minute)
	p.lead()
	p.Live = forgetful{p.admin}
	p.fail(pod, unauthorized)
	p.settle()
	p.Live = p.admin
	p.step(closedFor)
	p.fail(pod, unauthorized)
	other := p.pod(ns, "c", imageIn("eu-west-1"), ownedBy("2"))
	p.fail(other, unauthorized)
	p.settle()
	if !p.there(pod) || p.there(other) {
		t.Errorf("the pod of the owner is there: %t, that of another: %t", p.there(pod), p.there(other))
	}
	p.step(5 * time.Minute)
	p.fail(pod, unauthorized)
	p.settle()
	if p.there(pod) {
		t.Error("the pod was left alone after ten minutes")
	}
}

func TestAPodThatComesAgainWithoutTheLinkIsNotEvictedAgain(t *testing.T) {
	p, ns := evicting(t)
	sa := &corev1.ServiceAccount{}
	p.must(p.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "default"}, sa))
	sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}, {Name: ns}}
	p.must(p.admin.Update(t.Context(), sa))
	// Its list looks like that of a pod which came before the link.
	change := func(pod *corev1.Pod) { ownedBy("1")(pod); names("theirs")(pod) }
	pod := p.pod(ns, "app", imageIn("eu-west-1"), change)
	p.fail(pod, unauthorized)
	p.settle()
	if p.there(pod) {
		t.Fatal("the pod is still there")
	}
	p.told()
	again := p.pod(ns, "app", imageIn("eu-west-1"), change)
	for range 3 {
		p.fail(again, unauthorized)
		p.settle()
		p.step(evictAgain)
	}
	if !p.there(again) {
		t.Error("the pod was evicted again, although that did not help")
	}
	if told := p.told(); !containsAll(told, v1alpha1.CausePodNamesOwnSecrets) {
		t.Errorf("told: %s", told)
	}
}

func TestPodDisruptionBudgetsHold(t *testing.T) {
	p, ns := evicting(t)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}}
	budget.Spec.MinAvailable = new(intstr.FromInt32(1))
	budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}}
	p.must(p.admin.Create(t.Context(), budget))
	// What the disruption controller would say.
	allow := func(disruptions int32) {
		budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, DisruptionsAllowed: disruptions, CurrentHealthy: 1 + disruptions, DesiredHealthy: 1, ExpectedPods: 1}
		p.must(p.admin.Status().Update(t.Context(), budget))
	}
	allow(0)
	pod := p.pod(ns, "app", imageIn("eu-west-1"), func(pod *corev1.Pod) {
		ownedBy("1")(pod)
		pod.Labels = map[string]string{"app": "app"}
	})
	// The API server asks no budget for a pod that has never run.
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.must(p.admin.Status().Update(t.Context(), pod))
	p.fail(pod, unauthorized)
	p.settle()
	if !p.there(pod) {
		t.Fatal("the pod was evicted against its budget")
	}
	if told := p.told(); !containsAll(told, v1alpha1.EventEvictionHeld) {
		t.Errorf("told: %s", told)
	}
	allow(1)
	p.step(closedFor)
	p.fail(pod, unauthorized)
	p.settle()
	if p.there(pod) {
		t.Error("the pod is still there, although the budget allows it to go")
	}
}

func TestAControllerThatMayNotEvictSaysSo(t *testing.T) {
	p, ns := evicting(t)
	ours, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: p.admin.Scheme()})
	p.must(err)
	p.Client = interceptor.NewClient(ours, interceptor.Funcs{
		SubResourceCreate: func(_ context.Context, _ client.Client, _ string, o, _ client.Object, _ ...client.SubResourceCreateOption) error {
			return apierrors.NewForbidden(corev1.Resource("pods/eviction"), o.GetName(), nil)
		},
	})
	pod := p.pod(ns, "app", imageIn("eu-west-1"), ownedBy("1"))
	p.fail(pod, unauthorized)
	p.settle()
	if told := p.told(); !p.there(pod) || !containsAll(told, v1alpha1.EventEvictionHeld, "recoverPods in the chart") {
		t.Errorf("told: %s", told)
	}
}
