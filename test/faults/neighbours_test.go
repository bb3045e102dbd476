package faults

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// appliers own the list of pull Secrets of a ServiceAccount from Git, and force it.
var appliers = []string{"argocd-controller", "kustomize-controller"}

// rounds is how often each applies.
func rounds() int {
	if *nightly {
		return 1000
	}
	return 50
}

// Who applies a ServiceAccount with a list of its own again and again takes our link off at no time, loses nothing of the list, and gives the
// controller nothing to do.
func TestAppliersTakeNoLinkOff(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	policies := filepath.Join(world.Root, "config", "policy", "link")
	_, err := world.Kubectl(t.Context(), "apply", "-k", policies)
	s.must(err)
	defer func() {
		_, err := world.Kubectl(s.ending(), "delete", "-k", policies)
		s.must(err)
	}()
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
	want := []corev1.LocalObjectReference{{Name: "mirror"}, {Name: s.name}}
	s.await("the policy to know the credential", func() bool { return slices.Equal(s.apply("argocd-controller", 0), want) })
	s.await("our link", func() bool { return s.linked("one") })
	between.held(2 * still)
	between.arm(trap{})
	for n := range rounds() {
		for _, manager := range appliers {
			if got := s.apply(manager, n); !slices.Equal(got, want) {
				t.Fatalf("applied by %s for the %d. time, the links are %v, want %v", manager, n+1, got, want)
			}
		}
	}
	between.held(2 * still)
	if done := between.counted(); len(done) > enough {
		t.Errorf("the controller does not come to rest: %q", done)
	}
}

// apply applies the scene's ServiceAccount with a list of its own, and returns the list that it has then.
func (s *scene) apply(manager string, n int) []corev1.LocalObjectReference {
	s.Helper()
	manifest := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ServiceAccount",
		"metadata":         map[string]any{"namespace": "one", "name": s.name, "labels": map[string]any{"revision": fmt.Sprint(n)}},
		"imagePullSecrets": []any{map[string]any{"name": "mirror"}},
	}}
	s.must(world.Client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(manifest), client.ForceOwnership, client.FieldOwner(manager)))
	sa := s.account("one")
	s.must(world.Client.Get(s.Context(), client.ObjectKeyFromObject(sa), sa))
	slices.SortFunc(sa.ImagePullSecrets, func(a, b corev1.LocalObjectReference) int {
		return slices.Index([]string{"mirror", s.name}, a.Name) - slices.Index([]string{"mirror", s.name}, b.Name)
	})
	return sa.ImagePullSecrets
}

// Who copies Secrets copies ours with all that we have written on it, and under its name, too. The copies are somebody else's: nobody writes or
// deletes them, and they end in no loop.
func TestCopiesOfOurSecretsAreLeftAlone(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	s.selected("two", false)
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("a token and a link", func() bool { return s.served("one", true) && s.reported(1) })
	ours := s.secret("one")
	s.must(world.Client.Get(t.Context(), client.ObjectKeyFromObject(ours), ours))
	versions := map[client.ObjectKey]string{}
	for _, key := range []client.ObjectKey{{Namespace: "one", Name: s.name + "-copy"}, {Namespace: "two", Name: s.name}} {
		copied := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: ours.Labels, Annotations: ours.Annotations},
			Type: ours.Type, Data: ours.Data}
		s.must(world.Client.Create(t.Context(), copied))
		t.Cleanup(func() { _ = world.Client.Delete(s.ending(), copied) })
		versions[key] = copied.ResourceVersion
	}
	s.selected("two", true) // where the copy has the name of our Secret
	s.await("a word on it in status", func() bool { return s.tells("two") })
	s.later(2 * time.Minute)
	s.refresh("now")
	s.await("a refresh", func() bool { return s.mints() == 2 && s.answered("now") && s.served("one", true) })
	between.held(2 * still)
	between.arm(trap{})
	between.held(2 * still)
	if done := between.counted(); len(done) > 0 {
		t.Errorf("the controller does not come to rest: %q", done)
	}
	now := map[client.ObjectKey]string{}
	for key := range versions {
		secret := &corev1.Secret{}
		s.must(world.Client.Get(t.Context(), key, secret))
		now[key] = secret.ResourceVersion
	}
	if !maps.Equal(now, versions) {
		t.Errorf("the copies were %v and are %v", versions, now)
	}
}
