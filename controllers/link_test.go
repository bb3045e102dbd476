package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

func TestLinksOfOthersStayWhereTheyAre(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "builder", nil, "theirs", "also-theirs")
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts.Names = []string{"builder"} }, registry("prod", "eu-west-1"))
	w.run(target)
	if diff := cmp.Diff([]string{"theirs", "also-theirs", ns}, w.links(ns, "builder")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.ServiceAccounts = nil })
	w.run(target)
	if diff := cmp.Diff([]string{"theirs", "also-theirs"}, w.links(ns, "builder")); diff != "" {
		t.Errorf("after unlinking (-want +got):\n%s", diff)
	}
}

func TestALinkThatSomebodyElseMadeIsNeverRemoved(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "builder", nil, ns)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts.Names = []string{"builder"} }, registry("prod", "eu-west-1"))
	before := &corev1.ServiceAccount{}
	w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "builder"}, before))
	w.run(target)
	after := before.DeepCopy()
	w.must(w.admin.Get(t.Context(), client.ObjectKeyFromObject(before), after))
	if before.ResourceVersion != after.ResourceVersion {
		t.Error("a ServiceAccount that has the link was written")
	}
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.ServiceAccounts = nil })
	w.run(target)
	if diff := cmp.Diff([]string{ns}, w.links(ns, "builder")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLinksFollowTheSpec(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "builder", nil)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	links := func() map[string]int {
		return map[string]int{"default": len(w.links(ns, "default")), "builder": len(w.links(ns, "builder"))}
	}
	for _, step := range []struct {
		says string
		wish *v1alpha1.ServiceAccounts
		want map[string]int
	}{
		{"one name", &v1alpha1.ServiceAccounts{Names: []string{"default"}}, map[string]int{"default": 1, "builder": 0}},
		{"two names", &v1alpha1.ServiceAccounts{Names: []string{"default", "builder", "absent"}}, map[string]int{"default": 1, "builder": 1}},
		{"a narrower list", &v1alpha1.ServiceAccounts{Names: []string{"builder"}}, map[string]int{"default": 0, "builder": 1}},
		{"all", &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{}}, map[string]int{"default": 1, "builder": 1}},
		{"a selector of none", &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{
			MatchLabels: map[string]v1alpha1.LabelValue{"a": "b"}}}, map[string]int{"default": 0, "builder": 0}},
	} {
		w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.ServiceAccounts = step.wish })
		w.run(target)
		if diff := cmp.Diff(step.want, links()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.says, diff)
		}
	}
}

func TestNothingIsLeftInANamespaceThatIsServedNoLonger(t *testing.T) {
	for name, end := range map[string]func(*world, string){
		"the namespace lost its label": func(w *world, ns string) {
			w.must(w.admin.Patch(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
				client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"other"}}}`))))
		},
		"the selector has changed": func(w *world, ns string) {
			w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
				c.Spec.NamespaceSelector.MatchLabels["team"] = "other"
			})
		},
		"the namespace is excluded": func(w *world, ns string) { w.exclude(ns) },
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			end(w, ns)
			// However long the controller was away.
			excluded := w.Excluded
			w.restart()
			w.exclude(excluded...)
			w.run(target)
			if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); err == nil {
				t.Error("the Secret is still there")
			}
			sa := &corev1.ServiceAccount{}
			w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "default"}, sa))
			if len(sa.ImagePullSecrets) != 0 || len(sa.Annotations) != 0 {
				t.Errorf("left behind: %v %v", sa.ImagePullSecrets, sa.Annotations)
			}
		})
	}
}

func TestLinksOfADeletedCredentialAreRemovedAndItsSecretIsLeftToTheCollector(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.must(w.admin.Delete(t.Context(), w.credential(ns)))
	w.run(target)
	if got := w.links(ns, "default"); len(got) != 0 {
		t.Errorf("links to nothing: %v", got)
	}
	w.secret(target)
}

func TestAForeignSecretSurvivesTheEndOfTheCredential(t *testing.T) {
	w, ns := newWorld(t)
	w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: ns, Name: ns, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}}}))
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.NamespaceSelector.MatchLabels["team"] = "other" })
	w.run(target)
	w.secret(target)
}

func TestALinkOnAnIdentityIsNoChangeOfIt(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "puller", nil)
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "own"}}
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}
	c.Spec.Registries = []v1alpha1.Registry{entry}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"puller"}}
	w.must(w.admin.Create(t.Context(), c))
	target := credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: c.Name}
	w.run(target)
	c.Spec.ServiceAccounts = nil
	w.must(w.admin.Update(t.Context(), c))
	w.run(target)
	if got := w.links(ns, "puller"); len(got) != 0 || w.mint.count() != 1 {
		t.Errorf("links %v, %d calls; want none, and one", got, w.mint.count())
	}
}
