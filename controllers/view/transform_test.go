package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

const roleARN = "eks.amazonaws.com/role-arn"

func account(annotations map[string]string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "default", Annotations: annotations}}
}

func cachedAccount(t *testing.T, tr *transforms, sa *corev1.ServiceAccount) *corev1.ServiceAccount {
	t.Helper()
	o, err := tr.serviceAccount(sa)
	if err != nil {
		t.Fatal(err)
	}
	return o.(*corev1.ServiceAccount)
}

func TestOfAServiceAccountOnlyWhatIsReadIsHeld(t *testing.T) {
	tr := &transforms{annotations: sets.New(roleARN)}
	annotations := map[string]string{
		roleARN: "arn", "argocd.argoproj.io/tracking-id": "x", "fat": strings.Repeat("x", 240<<10),
		v1alpha1.AnnotationLinkPrefix + "pull": "RegistryCredential",
	}
	sa := cachedAccount(t, tr, account(annotations))
	if len(sa.Annotations) != 2 || sa.Annotations[roleARN] != "arn" || sa.Annotations[v1alpha1.AnnotationLinkPrefix+"pull"] == "" {
		t.Errorf("held: %v", sa.Annotations)
	}
	if sa := cachedAccount(t, tr, account(map[string]string{roleARN: strings.Repeat("x", maxAnnotation+1)})); len(sa.Annotations) != 0 {
		t.Error("a value without a bound is held")
	}
}

func TestAServiceAccountHasAtMostSoManyLinks(t *testing.T) {
	annotations := map[string]string{roleARN: "arn"}
	for i := range 8000 {
		annotations[fmt.Sprintf("%sc%d", v1alpha1.AnnotationLinkPrefix, i)] = "RegistryCredential"
	}
	sa := cachedAccount(t, &transforms{annotations: sets.New(roleARN)}, account(annotations))
	if got := len(credential.Linked(sa)); got != maxLinks || sa.Annotations[roleARN] != "arn" {
		t.Errorf("%d links are held, want %d beside the role", got, maxLinks)
	}
	if !credential.Crowded(sa) {
		t.Error("it does not show that there are more")
	}
}

func TestAListOfPullSecretsThatIsTooLongIsMarkedAndNotHeld(t *testing.T) {
	for _, c := range []struct {
		names, length int
		cut           bool
	}{{maxPullSecrets, 3, false}, {maxPullSecrets + 1, 3, true}, {64, 253, false}, {65, 253, true}, {1, maxPullBytes + 1, true}} {
		sa := account(nil)
		for i := range c.names {
			sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: fmt.Sprintf("%0*d", c.length, i)})
		}
		sa = cachedAccount(t, &transforms{}, sa)
		if credential.Cut(sa) != c.cut || (len(sa.ImagePullSecrets) == 0) != c.cut {
			t.Errorf("of %d names of %d bytes %d are held, marked: %t", c.names, c.length, len(sa.ImagePullSecrets), credential.Cut(sa))
		}
	}
}

func TestOfACredentialOnlyTheRefreshRequestIsHeld(t *testing.T) {
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "fat-", Finalizers: slices.Repeat([]string{"a"}, 350_000),
		Labels:      map[string]string{"a": "b"},
		Annotations: map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now", "fat": strings.Repeat("x", 240<<10)},
	}}
	if _, err := (&transforms{}).other(c); err != nil {
		t.Fatal(err)
	}
	if len(c.Annotations) != 1 || c.Annotations[v1alpha1.AnnotationRefreshRequestedAt] != "now" || c.Labels != nil {
		t.Errorf("held: %v, %v", c.Labels, c.Annotations)
	}
	if c.GenerateName != "" || c.Finalizers != nil {
		t.Errorf("held: %q, and %d finalizers", c.GenerateName, len(c.Finalizers))
	}
	c.Annotations[v1alpha1.AnnotationRefreshRequestedAt] = strings.Repeat("x", 240<<10)
	if _, err := (&transforms{}).other(c); err != nil {
		t.Fatal(err)
	}
	if held := len(c.Annotations[v1alpha1.AnnotationRefreshRequestedAt]); held != 65 {
		t.Errorf("of a refresh request that is too long, %d bytes are held", held)
	}
}

func TestLabelsWithoutABoundSelectNothing(t *testing.T) {
	labels := map[string]string{}
	for i := range 1000 {
		labels[fmt.Sprintf("label-%d", i)] = strings.Repeat("x", 63)
	}
	sa := account(nil)
	sa.Labels = labels
	if got := cachedAccount(t, &transforms{}, sa).Labels; got != nil {
		t.Errorf("%d labels are held", len(got))
	}
}

func TestEqualMetadataIsHeldOnce(t *testing.T) {
	tr := &transforms{}
	link := func() map[string]string {
		return map[string]string{v1alpha1.AnnotationLinkPrefix + "pull": "RegistryCredential"}
	}
	a, b := cachedAccount(t, tr, account(link())), cachedAccount(t, tr, account(link()))
	a.Annotations["written"] = "through"
	if b.Annotations["written"] != "through" {
		t.Error("equal maps are held twice")
	}
}

// What ten thousand Secrets of one credential have in common is held once, and no namespace has a map of its own for its name.
func TestWhatMetadataHaveInCommonIsHeldOnce(t *testing.T) {
	tr := &transforms{}
	secret := func(name string) *metav1.PartialObjectMetadata {
		m := SecretMetadata()
		m.Name = name
		m.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "regcred.dev/v1alpha1", Kind: "ClusterRegistryCredential", Name: "pull", UID: "uid", Controller: new(true), BlockOwnerDeletion: new(true)},
		}
		if _, err := tr.secret(m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if a, b := secret("a"), secret("b"); &a.OwnerReferences[0] != &b.OwnerReferences[0] || len(a.OwnerReferences) != 1 {
		t.Error("equal owner references are held twice")
	}
	ns := NamespaceMetadata()
	ns.Name, ns.Labels = "shop", map[string]string{corev1.LabelMetadataName: "shop"}
	if _, err := tr.namespace(ns); err != nil || ns.Labels != nil {
		t.Errorf("labels %v, %v", ns.Labels, err)
	}
	for name, want := range map[v1alpha1.LabelValue]bool{"shop": true, "other": false} {
		o := &v1alpha1.ClusterRegistryCredential{}
		o.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: name}
		c, err := credential.Of(o)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Selects(ns); got != want {
			t.Errorf("namespace shop is selected by the name %s: %t", name, got)
		}
	}
}

func TestWhatIsSharedIsBounded(t *testing.T) {
	var s shared[int]
	for i := range 4000 {
		s.of(fmt.Sprintf("%04000d", i), i)
	}
	s.of(strings.Repeat("x", maxShared+1), 1)
	held := 0
	for key := range s.values {
		held += len(key)
	}
	if held == 0 || held > maxSharedBytes {
		t.Errorf("%d bytes are held, want some, and at most %d", held, maxSharedBytes)
	}
	for key := range s.values {
		if len(key) > maxShared {
			t.Error("a large value is held")
		}
	}
}
