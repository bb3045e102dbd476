package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

// takeOff replaces the list of a ServiceAccount as somebody else does, with the records of links or without.
func (w *world) takeOff(ns, name string, records bool) {
	w.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	w.must(w.admin.Patch(w.Context(), sa, client.RawPatch(types.ApplyPatchType, fmt.Appendf(nil,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":%q,"namespace":%q},"imagePullSecrets":[{"name":"theirs"}]}`, name, ns)),
		client.FieldOwner("argocd-controller"), client.ForceOwnership))
	if records {
		w.must(w.admin.Patch(w.Context(), sa, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":null}}`))))
	}
}

func TestALinkThatSomebodyTakesOffAgainAndAgainIsPutBackEverMoreRarely(t *testing.T) {
	for name, records := range map[string]bool{"the link alone": false, "the link and its record": true} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.serviceAccount(ns, "peaceful", nil)
			target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts.Names = []string{"default", "peaceful"} }, registry("prod", "eu-west-1"))
			w.run(target)
			putBack := 0
			for range 20 {
				w.takeOff(ns, "default", records)
				w.step(time.Second)
				w.run(target)
				putBack += len(w.links(ns, "default")) - 1
			}
			if putBack < 5 || putBack > 8 {
				t.Errorf("put back %d times in twenty seconds, want about 6", putBack)
			}
			status := w.report(target)
			if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonContended || !strings.Contains(f[0].Message, `the field manager "argocd-controller"`) {
				t.Errorf("failures: %v", f)
			}
			if status.Namespaces.Current != 0 {
				t.Error("the namespace is current, although its pods do not get the Secret")
			}
			if len(tokens(t, w.secret(target))) != 1 {
				t.Error("no token was published")
			}
			// Another ServiceAccount of the namespace is none of it.
			w.takeOff(ns, "peaceful", records)
			last := w.run(target).RequeueAfter
			if len(w.links(ns, "peaceful")) != 2 {
				t.Error("another ServiceAccount waits, too")
			}
			for range 8 {
				w.step(last)
				w.run(target)
				if len(w.links(ns, "default")) != 2 {
					t.Fatal("the link is not put back after the truce")
				}
				w.takeOff(ns, "default", records)
				last = w.run(target).RequeueAfter
			}
			if last != 5*time.Minute {
				t.Errorf("the last truce is of %s", last)
			}
		})
	}
}

func TestAContendedLinkIsCounted(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	for range 3 {
		w.takeOff(ns, "default", false)
		w.run(target)
	}
	if want := (link.Changes{Made: 1, Restored: 3}); w.ledger.links != want {
		t.Errorf("counted %+v, want %+v", w.ledger.links, want)
	}
}

// heldAccounts reads ServiceAccounts as the cache holds them.
type heldAccounts struct{ client.Reader }

func (h heldAccounts) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := h.Reader.List(ctx, list, opts...); err != nil {
		return err
	}
	accounts, ok := list.(*corev1.ServiceAccountList)
	if !ok {
		return nil
	}
	for o, by := range view.Options(nil).ByObject {
		if _, is := o.(*corev1.ServiceAccount); !is {
			continue
		}
		for i := range accounts.Items {
			held, err := by.Transform(&accounts.Items[i])
			if err != nil {
				return err
			}
			accounts.Items[i] = *held.(*corev1.ServiceAccount)
		}
	}
	return nil
}

// countingPatches counts the patches of ServiceAccounts.
func (w *world) countingPatches(n *atomic.Int32) {
	w.Helper()
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	w.Client = client.WithFieldOwner(interceptor.NewClient(watched, interceptor.Funcs{Patch: func(
		ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption,
	) error {
		if _, ok := o.(*corev1.ServiceAccount); ok {
			n.Add(1)
		}
		return c.Patch(ctx, o, patch, opts...)
	}}), v1alpha1.FieldManager)
}

// deadLinks puts so many records of links on a ServiceAccount.
func (w *world) deadLinks(ns, name string, n int) {
	w.Helper()
	sa := &corev1.ServiceAccount{}
	w.must(w.admin.Get(w.Context(), client.ObjectKey{Namespace: ns, Name: name}, sa))
	if sa.Annotations == nil {
		sa.Annotations = map[string]string{}
	}
	for i := range n {
		sa.Annotations[linkedBy(fmt.Sprintf("l%d", i))] = ownKind
	}
	sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: "l7"}, corev1.LocalObjectReference{Name: "theirs"})
	w.must(w.admin.Update(w.Context(), sa))
}

func TestAllDeadLinksOfAServiceAccountGoInOnePatch(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.deadLinks(ns, "default", 300)
	w.Cache = heldAccounts{w.Cache}
	var patches atomic.Int32
	w.countingPatches(&patches)

	// Every target that an event of the ServiceAccount brings, in any order.
	var accounts corev1.ServiceAccountList
	w.must(w.Cache.List(t.Context(), &accounts, client.InNamespace(ns)))
	links := credential.Linked(&accounts.Items[0])
	if len(links) > 100 {
		t.Fatalf("%d targets are held of one ServiceAccount", len(links))
	}
	for _, dead := range links {
		w.run(dead)
	}
	if got := patches.Load(); got != 1 {
		t.Errorf("%d patches, want 1", got)
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}}
	w.must(w.admin.Get(t.Context(), client.ObjectKeyFromObject(sa), sa))
	if len(sa.Annotations) != 1 || sa.Annotations[linkedBy(ns)] != clusterKind {
		t.Errorf("%d annotations are left", len(sa.Annotations))
	}
	if got := w.links(ns, "default"); !slices.Equal(got, []string{ns, "theirs"}) {
		t.Errorf("linked to %v", got)
	}

	// Whoever puts them there again and again makes us write ever more rarely.
	patches.Store(0)
	dead := slices.MinFunc(links, func(a, b credential.Target) int { return strings.Compare(a.Name, b.Name) })
	for range 9 {
		w.deadLinks(ns, "default", 300)
		w.step(time.Second)
		w.run(dead)
	}
	if got := patches.Load(); got > 7 {
		t.Errorf("%d patches in nine seconds, want about 6", got)
	}
}

func TestUnlinkTakesAllLinksOffInOnePatch(t *testing.T) {
	w, ns := newWorld(t)
	w.deadLinks(ns, "default", 6000) // as many as the API server takes
	var patches atomic.Int32
	w.countingPatches(&patches)
	removed, err := unlink(t.Context(), w.Client, only(ns))
	w.must(err)
	if removed != 6000 || patches.Load() != 1 {
		t.Errorf("%d links removed in %d patches, want 6000 in one", removed, patches.Load())
	}
}
