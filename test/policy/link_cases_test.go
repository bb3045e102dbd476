package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// everybody is what links all ServiceAccounts.
func everybody() *v1alpha1.ServiceAccounts {
	return &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{}}
}

func links(names ...string) []corev1.LocalObjectReference {
	list := make([]corev1.LocalObjectReference, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	return list
}

func checkLinks(t *testing.T, sa *corev1.ServiceAccount, want ...string) {
	t.Helper()
	if !slices.Equal(sa.ImagePullSecrets, links(want...)) {
		t.Errorf("linked to %v, want %v", sa.ImagePullSecrets, want)
	}
}

func TestAServiceAccountIsLinkedAtItsCreation(t *testing.T) {
	withLinks(t)
	for _, name := range []string{"first", "second"} {
		c := shared(name)
		c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{}}
		share(t, c)
	}
	nobodyLinked := shared("nobody-linked")
	share(t, nobodyLinked)
	ns := namespace(t)
	awaitCredentials(t, ns)

	sa := account(ns, "puller")
	sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}, {Name: "first"}}
	must(t, admin.Create(t.Context(), sa))
	if want := []corev1.LocalObjectReference{{Name: "theirs"}, {Name: "first"}, {Name: "second"}}; !slices.Equal(sa.ImagePullSecrets, want) {
		t.Errorf("linked to %v, want %v", sa.ImagePullSecrets, want)
	}
	if len(sa.Annotations) != 1 || sa.Annotations["link.regcred.dev/second"] != v1alpha1.KindClusterRegistryCredential {
		t.Errorf("annotations %v, want a record of the link that was made, and of no other", sa.Annotations)
	}
	excluded := account("kube-system", "puller")
	must(t, admin.Create(t.Context(), excluded, client.DryRunAll))
	if len(excluded.ImagePullSecrets) > 0 {
		t.Errorf("linked to %v in an excluded namespace", excluded.ImagePullSecrets)
	}
}

func TestAServiceAccountIsLinkedToTheSecretsOfItsNamespace(t *testing.T) {
	withLinks(t)
	here, there := namespace(t), namespace(t)
	for _, ns := range []string{here, there} {
		c := own(ns, "of-"+ns)
		c.Spec.ServiceAccounts = everybody()
		must(t, admin.Create(t.Context(), c))
	}
	awaitOwn(t, there)
	awaitOwn(t, here)
	sa := account(here, "puller")
	must(t, admin.Create(t.Context(), sa))
	checkLinks(t, sa, "of-"+here)
	if got := sa.Annotations["link.regcred.dev/of-"+here]; got != v1alpha1.KindRegistryCredential || len(sa.Annotations) != 1 {
		t.Errorf("recorded as %v", sa.Annotations)
	}
}

func TestALinkIsNamedAfterTheSecret(t *testing.T) {
	withLinks(t)
	wide := shared("wide")
	wide.Spec.SecretName, wide.Spec.ServiceAccounts = "wide-secret", everybody()
	share(t, wide)
	ns := namespace(t)
	narrow := own(ns, "narrow")
	narrow.Spec.SecretName, narrow.Spec.ServiceAccounts = "narrow-secret", everybody()
	must(t, admin.Create(t.Context(), narrow))
	awaitCredentials(t, ns)
	awaitOwn(t, ns)
	sa := account(ns, "puller")
	must(t, admin.Create(t.Context(), sa))
	slices.SortFunc(sa.ImagePullSecrets, func(a, b corev1.LocalObjectReference) int { return len(a.Name) - len(b.Name) })
	checkLinks(t, sa, "wide-secret", "narrow-secret")
	want := map[string]string{"link.regcred.dev/wide-secret": "ClusterRegistryCredential/wide", "link.regcred.dev/narrow-secret": "RegistryCredential/narrow"}
	if fmt.Sprint(sa.Annotations) != fmt.Sprint(want) {
		t.Errorf("recorded as %v, want %v", sa.Annotations, want)
	}
}

// linked is a ServiceAccount with a link that the policy has made.
func linked(t *testing.T, ns, secret string) *corev1.ServiceAccount {
	t.Helper()
	sa := account(ns, "puller")
	must(t, admin.Create(t.Context(), sa))
	checkLinks(t, sa, secret)
	return sa
}

// TestWhoReplacesTheListChangesNothing: Helm patches the list, and GitOps tools apply it.
func TestWhoReplacesTheListChangesNothing(t *testing.T) {
	withLinks(t)
	c := shared("replaced")
	c.Spec.ServiceAccounts = everybody()
	share(t, c)
	ns := namespace(t)
	awaitCredentials(t, ns)
	sa := linked(t, ns, c.Name)

	must(t, admin.Patch(t.Context(), sa, client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":[{"name":"theirs"}]}`))))
	checkLinks(t, sa, "theirs", c.Name)
	must(t, admin.Patch(t.Context(), sa, client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":null,"metadata":{"annotations":null}}`))))
	checkLinks(t, sa, c.Name)
	if sa.Annotations["link.regcred.dev/"+c.Name] != v1alpha1.KindClusterRegistryCredential {
		t.Errorf("recorded as %v", sa.Annotations)
	}

	applied := fmt.Sprintf(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"puller","namespace":%q},"imagePullSecrets":[]}`, ns)
	apply := func() { // the second time, the manager owns the field already
		must(t, admin.Patch(t.Context(), sa, client.RawPatch("application/apply-patch+yaml", []byte(applied)), client.FieldOwner("gitops"), client.ForceOwnership))
	}
	apply()
	before := sa.ResourceVersion
	apply()
	checkLinks(t, sa, c.Name)
	if sa.ResourceVersion != before {
		t.Error("an apply that changes nothing is a write")
	}
}

// TestTheControllersAreLeftAlone: what they remove stays removed, though the API server's copy of the credential is older.
func TestTheControllersAreLeftAlone(t *testing.T) {
	withLinks(t)
	c := shared("removed")
	c.Spec.ServiceAccounts = everybody()
	share(t, c)
	ns := namespace(t)
	awaitCredentials(t, ns)
	for _, user := range []string{"regcred", "regcred-uninstall"} {
		name := "system:serviceaccount:" + home + ":" + user
		bind(t, name, "regcred", "")
		sa := linked(t, ns, c.Name)
		unlink := fmt.Sprintf(`{"metadata":{"annotations":{"link.regcred.dev/%s":null}},"imagePullSecrets":[]}`, c.Name)
		must(t, userClient(t, name).Patch(t.Context(), sa, client.RawPatch("application/merge-patch+json", []byte(unlink))))
		checkLinks(t, sa)
		must(t, admin.Delete(t.Context(), sa))
	}
}

func TestASuspendedCredentialKeepsItsLinksAndMakesNone(t *testing.T) {
	withLinks(t)
	c := shared("suspended")
	c.Spec.ServiceAccounts = everybody()
	share(t, c)
	ns := namespace(t)
	awaitCredentials(t, ns)
	sa := linked(t, ns, c.Name)
	never := account(ns, "never")
	never.Labels = map[string]string{v1alpha1.LabelLink: v1alpha1.LabelLinkNever}
	must(t, admin.Create(t.Context(), never))

	c.Spec.Suspend = true
	must(t, admin.Update(t.Context(), c))
	awaitCredentials(t, ns)
	replace := client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":[{"name":"theirs"}]}`))
	must(t, admin.Patch(t.Context(), sa, replace))
	checkLinks(t, sa, "theirs", c.Name)
	fresh := account(ns, "fresh")
	must(t, admin.Create(t.Context(), fresh))
	checkLinks(t, fresh)
	delete(never.Labels, v1alpha1.LabelLink)
	must(t, admin.Update(t.Context(), never))
	checkLinks(t, never)
}

func TestWhoWantsToBeLeftAloneIsNotLinked(t *testing.T) {
	withLinks(t)
	c := shared("unwanted")
	c.Spec.ServiceAccounts = everybody()
	share(t, c)
	ns := namespace(t)
	narrow := own(ns, "narrow")
	narrow.Spec.ServiceAccounts = everybody()
	must(t, admin.Create(t.Context(), narrow))
	awaitCredentials(t, ns)
	awaitOwn(t, ns)
	for value, want := range map[string]int{"false": 0, "true": 2, "": 2} {
		sa := account(ns, "puller-"+value+"x")
		sa.Labels = map[string]string{v1alpha1.LabelLink: value}
		must(t, admin.Create(t.Context(), sa))
		if len(sa.ImagePullSecrets) != want {
			t.Errorf("with the label %q: linked to %v", value, sa.ImagePullSecrets)
		}
	}
	label := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"regcred.dev/link":"false"}}}`))
	must(t, admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, label))
	await(t, "a namespace to be left alone", func() bool {
		sa := account(ns, "another")
		must(t, admin.Create(t.Context(), sa, client.DryRunAll))
		return len(sa.ImagePullSecrets) == 0
	})
}

// Helm 4 and GitOps tools apply on the server side, without force: the link is in the list before anybody owns it, so they meet no conflict with
// us, the next time neither.
func TestWhoAppliesTheListWithoutForceMeetsNoConflictWithUs(t *testing.T) {
	withLinks(t)
	c := shared("applied")
	c.Spec.ServiceAccounts = everybody()
	share(t, c)
	ns := namespace(t)
	awaitCredentials(t, ns)
	apply := func(name, list string) (*corev1.ServiceAccount, error) {
		sa := account(ns, name)
		return sa, admin.Patch(t.Context(), sa, client.RawPatch("application/apply-patch+yaml", fmt.Appendf(nil,
			`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":%q,"namespace":%q},"imagePullSecrets":[%s]}`, name, ns, list)), client.FieldOwner("helm"))
	}
	for _, list := range []string{`{"name":"theirs"}`, `{"name":"theirs"}`, `{"name":"theirs"},{"name":"another"}`} {
		sa, err := apply("app", list)
		must(t, err)
		if n := strings.Count(list, "name"); len(sa.ImagePullSecrets) != n+1 || sa.ImagePullSecrets[n].Name != c.Name {
			t.Errorf("%s is applied: linked to %v", list, sa.ImagePullSecrets)
		}
	}

	// Who has created it otherwise is the one that they meet.
	old := account(ns, "old")
	old.ImagePullSecrets = links("theirs")
	must(t, admin.Create(t.Context(), old, client.FieldOwner("kubectl-client-side-apply")))
	checkLinks(t, old, "theirs", c.Name)
	if _, err := apply("old", `{"name":"theirs"},{"name":"another"}`); !apierrors.IsConflict(err) || strings.Contains(err.Error(), `"regcred"`) {
		t.Errorf("got %v, want a conflict with whoever created it", err)
	}
}
