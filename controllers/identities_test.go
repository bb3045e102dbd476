package controllers

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// estate is a cluster whose credential selects three namespaces, as an identity of the controller's own namespace.
func estate(t *testing.T, identity v1alpha1.Identity, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "platform"}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "hub", Identity: &identity}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": "a"}
	objects = append(objects, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}})
	for _, name := range []string{"one", "two", "three"} {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": "a"}}})
	}
	none := func(client.Object) []string { return nil }
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&corev1.Secret{}, view.IndexCredential, none).WithIndex(&corev1.ServiceAccount{}, view.IndexCredential, none).Build()
}

var startedAt = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func TestAnIdentityOfManyWakesThemIfItHoldsSomethingElse(t *testing.T) {
	key := client.ObjectKey{Namespace: home, Name: "pat"}
	woken, content, clock := 0, "first", clocktesting.NewFakePassiveClock(startedAt)
	s := secrets{
		mapping: mapping{cache: estate(t, v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "pat"}}), namespace: home},
		scope:   view.Scope{}, wake: func(credential.Target, int) { woken++ },
		content: func(context.Context, client.ObjectKey) string { return content }, told: newTold(clock),
	}
	for _, c := range []struct {
		when    string
		content string
		gone    bool
		want    int
	}{
		{"when it is first heard of", "first", false, 3},
		{"when its metadata changes", "first", false, 0},
		{"when it holds something else", "second", false, 3},
		{"when its metadata changes again", "second", false, 0},
		{"when it goes", "second", true, 3},
		{"when it comes back", "second", false, 3},
		{"when it cannot be read", "", false, 3},
		{"when it still cannot be read", "", false, 3},
	} {
		woken, content = 0, c.content
		if _, err := s.Reconcile(t.Context(), secretEvent{ObjectKey: key, gone: c.gone}); err != nil || woken != c.want {
			t.Errorf("%s: %d woken, want %d (%v)", c.when, woken, c.want, err)
		}
	}
}

func TestAServiceAccountOfManyWakesThemIfTokensDependOnTheChange(t *testing.T) {
	woken := 0
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "puller", UID: "1", Annotations: map[string]string{"role": "one"}}}
	cluster := estate(t, v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}, sa)
	a := accounts{
		mapping: mapping{cache: cluster, namespace: home}, fails: func(credential.Target) bool { return false },
		told: newTold(clocktesting.NewFakePassiveClock(startedAt)),
		wake: func(t credential.Target, _ int) {
			if t.Namespace != home { // where it has a link that nobody wants
				woken++
			}
		},
	}
	for _, c := range []struct {
		when   string
		change func()
		want   int
	}{
		{"when it is first heard of", func() {}, 3},
		{"when a label changes", func() { sa.Labels = map[string]string{"a": "b"} }, 0},
		{"when a link is recorded", func() { sa.Annotations[v1alpha1.AnnotationLinkPrefix+"pull"] = "ClusterRegistryCredential" }, 0},
		{"when its role changes", func() { sa.Annotations["role"] = "two" }, 3},
		{"when a pull Secret is added", func() { sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "other"}} }, 0},
	} {
		woken = 0
		c.change()
		if err := cluster.Update(t.Context(), sa); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reconcile(t.Context(), client.ObjectKeyFromObject(sa)); err != nil || woken != c.want {
			t.Errorf("%s: %d woken, want %d (%v)", c.when, woken, c.want, err)
		}
	}
	if err := cluster.Delete(t.Context(), sa); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 0} {
		woken = 0
		if _, err := a.Reconcile(t.Context(), client.ObjectKeyFromObject(sa)); err != nil || woken != want {
			t.Errorf("when it is gone: %d woken, want %d (%v)", woken, want, err)
		}
	}
}

// A password that is corrected while the cloud is down is waited for.
func TestALoginByHandWakesThoseThatPublishIt(t *testing.T) {
	key, woken, content := client.ObjectKey{Namespace: home, Name: "hand"}, 0, "first"
	cluster := estate(t, v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "pat"}})
	c := &v1alpha1.ClusterRegistryCredential{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Name: "platform"}, c); err != nil {
		t.Fatal(err)
	}
	c.Spec.Registries = append(c.Spec.Registries, v1alpha1.Registry{Name: "by-hand", Override: &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: key.Name}}})
	if err := cluster.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s := secrets{
		mapping: mapping{cache: cluster, namespace: home}, wake: func(credential.Target, int) { woken++ },
		content: func(context.Context, client.ObjectKey) string { return content }, told: newTold(clocktesting.NewFakePassiveClock(startedAt)),
	}
	for _, content = range []string{"first", "corrected"} {
		woken = 0
		if _, err := s.Reconcile(t.Context(), secretEvent{ObjectKey: key}); err != nil || woken != 3 {
			t.Errorf("%s: %d woken, want 3 (%v)", content, woken, err)
		}
	}
}

// Those that could not be found were not told: they are looked for again.
func TestWhoCouldNotBeFoundWasNotTold(t *testing.T) {
	of := newTold(clocktesting.NewFakePassiveClock(startedAt))
	w := newTown(map[string]int{home: 1})
	w.tenants[home][0].Spec.Registries = []v1alpha1.Registry{{Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "pat"}}}}
	woken := 0
	s := secrets{mapping: mapping{cache: w, namespace: home}, wake: func(credential.Target, int) { woken++ }, told: of,
		content: func(context.Context, client.ObjectKey) string { return "same" }}
	for range 2 { // the town has no index of Secrets
		if _, err := s.Reconcile(t.Context(), secretEvent{ObjectKey: client.ObjectKey{Namespace: home, Name: "pat"}}); err == nil {
			t.Error("it is not looked again")
		}
	}
	if woken != 2 {
		t.Errorf("woken %d times, not twice", woken)
	}
}
