package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

const (
	clusterKind = v1alpha1.KindClusterRegistryCredential
	ownKind     = v1alpha1.KindRegistryCredential
)

func linkedBy(credential string) string { return v1alpha1.AnnotationLinkPrefix + credential }

func only(namespace string) view.Scope { return view.Scope{Namespaces: sets.New(namespace)} }

func unlink(ctx context.Context, c client.Client, scope view.Scope) (int, error) {
	return link.Unlink(ctx, c, scope.EachNamespace(), scope.MayWrite)
}

func (w *world) annotations(ns, name string) map[string]string {
	w.Helper()
	sa := &corev1.ServiceAccount{}
	w.must(w.admin.Get(w.Context(), client.ObjectKey{Namespace: ns, Name: name}, sa))
	return sa.Annotations
}

func TestUnlinkRemovesWhatTheControllerLinkedAndNothingElse(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "builder", map[string]string{"team": "a"}, "theirs", "also-theirs")
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts.Names = []string{"default", "builder"} }, registry("prod", "eu-west-1"))
	w.run(target)
	w.must(w.admin.Patch(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "builder"}}, client.RawPatch(
		"application/merge-patch+json", []byte(`{"imagePullSecrets":[{"name":"theirs"},{"name":"also-theirs"},{"name":"`+ns+`"},{"name":"the-last"}]}`))))
	// The link is of the credential's name, and somebody else's.
	w.serviceAccount(ns, "careful", nil, ns)
	w.serviceAccount(ns, "of-two", map[string]string{linkedBy("gone"): clusterKind, linkedBy("own"): ownKind}, "gone", "own")
	w.serviceAccount(ns, "record-only", map[string]string{linkedBy("gone"): clusterKind})
	w.serviceAccount(ns, "no-record-of-ours", map[string]string{linkedBy("odd"): "Oddity"}, "odd")

	// Pages of two, so that there are several.
	removed, err := unlink(t.Context(), smallPages{w.admin}, view.Scope{})
	w.must(err)
	if removed < 5 {
		t.Errorf("%d links removed", removed)
	}
	for name, want := range map[string][]string{
		"default": {}, "builder": {"theirs", "also-theirs", "the-last"}, "careful": {ns}, "of-two": {}, "record-only": {}, "no-record-of-ours": {"odd"},
	} {
		if diff := cmp.Diff(want, w.links(ns, name)); diff != "" {
			t.Errorf("%s links (-want +got):\n%s", name, diff)
		}
	}
	for name, want := range map[string]map[string]string{
		"default": nil, "builder": {"team": "a"}, "of-two": nil, "record-only": nil, "no-record-of-ours": {linkedBy("odd"): "Oddity"},
	} {
		if diff := cmp.Diff(want, w.annotations(ns, name)); diff != "" {
			t.Errorf("%s is annotated (-want +got):\n%s", name, diff)
		}
	}
	if removed, err := unlink(t.Context(), w.admin, view.Scope{}); removed != 0 || err != nil {
		t.Errorf("another time: %d removed, %v", removed, err)
	}
}

type smallPages struct{ client.Client }

func (c smallPages) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.Client.List(ctx, list, append(opts, client.Limit(2))...)
}

func TestUnlinkLeavesAloneWhatAnotherControllerMayServe(t *testing.T) {
	for name, c := range map[string]struct {
		scope func(ns string) view.Scope
		want  []string
	}{
		"a cluster":         {func(string) view.Scope { return view.Scope{} }, []string{}},
		"the namespace":     {only, []string{"cluster-wide"}},
		"another namespace": {func(string) view.Scope { return only("elsewhere") }, []string{"cluster-wide", "own", "second"}},
		"one name":          {func(string) view.Scope { return view.Scope{SecretNames: sets.New("second")} }, []string{"cluster-wide", "own"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.serviceAccount(ns, "builder", map[string]string{linkedBy("cluster-wide"): clusterKind, linkedBy("own"): ownKind, linkedBy("second"): ownKind},
				"cluster-wide", "own", "second")
			_, err := unlink(t.Context(), w.admin, c.scope(ns))
			w.must(err)
			if diff := cmp.Diff(c.want, w.links(ns, "builder")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// meddler does something before the first patch.
type meddler struct {
	client.Client
	before func()
}

func (m *meddler) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if do := m.before; do != nil {
		m.before = nil
		do()
	}
	return m.Client.Patch(ctx, o, patch, opts...)
}

func TestUnlinkPutsUpWithWhatHappensMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*world, *corev1.ServiceAccount)
		want      []string // nil if the ServiceAccount is gone
	}{
		"somebody else links": {func(w *world, sa *corev1.ServiceAccount) {
			sa.ImagePullSecrets = append([]corev1.LocalObjectReference{{Name: "theirs"}}, sa.ImagePullSecrets...)
			w.must(w.admin.Update(w.Context(), sa))
		}, []string{"theirs"}},
		"it is deleted": {func(w *world, sa *corev1.ServiceAccount) { w.must(w.admin.Delete(w.Context(), sa)) }, nil},
		"it is replaced by one without a record": {func(w *world, sa *corev1.ServiceAccount) {
			w.must(w.admin.Delete(w.Context(), sa))
			w.serviceAccount(sa.Namespace, sa.Name, nil, "ours")
		}, []string{"ours"}},
		"the namespace is deleted": {func(w *world, sa *corev1.ServiceAccount) {
			w.must(w.admin.Delete(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sa.Namespace}}))
		}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.serviceAccount(ns, "builder", map[string]string{linkedBy("ours"): ownKind}, "ours")
			sa := &corev1.ServiceAccount{}
			w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "builder"}, sa))
			_, err := unlink(t.Context(), &meddler{w.admin, func() { c.meanwhile(w, sa) }}, only(ns))
			w.must(err)
			if c.want == nil {
				return
			}
			if diff := cmp.Diff(c.want, w.links(ns, "builder")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestUnlinkNeedsFewRightsAndNamesWhatItMayNotChange: one may be patched, the other not.
func TestUnlinkNeedsFewRightsAndNamesWhatItMayNotChange(t *testing.T) {
	w, ns := newWorld(t)
	for _, name := range []string{"builder", "guarded"} {
		w.serviceAccount(ns, name, map[string]string{linkedBy("ours"): ownKind}, "ours")
	}
	core := []string{corev1.GroupName}
	w.must(w.admin.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unlink"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: core, Resources: []string{"serviceaccounts"}, Verbs: []string{"list"}},
		{APIGroups: core, Resources: []string{"serviceaccounts"}, Verbs: []string{"patch"}, ResourceNames: []string{"builder"}},
	}}))
	w.must(w.admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "unlink"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "unlink"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "unlinker-" + ns}},
	}))
	cfg, _, err := cluster.AddUser("unlinker-"+ns, nil)
	w.must(err)
	limited, err := client.New(cfg, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	// The API server takes a moment to notice the role.
	w.must(wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		return limited.List(ctx, &corev1.ServiceAccountList{}, client.InNamespace(ns)) == nil, nil
	}))

	removed, err := unlink(t.Context(), limited, only(ns))
	if want := fmt.Sprintf("ServiceAccount %s/guarded: ", ns); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "builder") {
		t.Errorf("%v, want an error of %q alone", err, want)
	}
	if got := w.links(ns, "builder"); removed != 1 || len(got) != 0 {
		t.Errorf("%d removed, and the other one links %q", removed, got)
	}
	if _, err := unlink(t.Context(), limited, only("default")); err == nil || !strings.Contains(err.Error(), `the ServiceAccounts of namespace "default"`) {
		t.Errorf("%v, want one that names the namespace", err)
	}
}
