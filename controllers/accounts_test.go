package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// town is a cache of tenants with credentials that link the ServiceAccounts of team a; it counts the credentials that it hands out.
type town struct {
	client.Reader
	tenants map[string][]v1alpha1.RegistryCredential
	account *corev1.ServiceAccount
	handed  int
}

func newTown(tenants map[string]int) *town {
	w := &town{tenants: map[string][]v1alpha1.RegistryCredential{}}
	for name, many := range tenants {
		for i := range many {
			c := v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: fmt.Sprintf("pull-%d", i)}}
			c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{
				MatchLabels: map[string]v1alpha1.LabelValue{"team": "a"},
				MatchExpressions: []v1alpha1.SelectorRequirement{
					{Key: "tier", Operator: metav1.LabelSelectorOpNotIn, Values: []v1alpha1.LabelValue{"one", "two"}},
				},
			}}
			w.tenants[name] = append(w.tenants[name], c)
		}
	}
	return w
}

func (w *town) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if sa, ok := o.(*corev1.ServiceAccount); ok {
		if w.account == nil || client.ObjectKeyFromObject(w.account) != key {
			return apierrors.NewNotFound(corev1.Resource("serviceaccounts"), key.Name)
		}
		w.account.DeepCopyInto(sa)
		return nil
	}
	o.SetName(key.Name)
	return nil
}

func (w *town) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	where := (&client.ListOptions{}).ApplyOptions(opts).Namespace
	switch list := list.(type) {
	case *v1alpha1.RegistryCredentialList:
		list.Items = w.tenants[where]
		w.handed += len(list.Items)
	case *v1alpha1.ClusterRegistryCredentialList:
	default:
		return fmt.Errorf("%T is looked at, too", list)
	}
	return nil
}

// account is one that the credentials of its namespace are to link, and that links the Secrets already.
func account(namespace string, linked ...string) *corev1.ServiceAccount {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default", Labels: map[string]string{"team": "a"}}}
	for _, secret := range linked {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	return sa
}

// change is an event of the ServiceAccount; it returns the targets that are woken.
func (w *town) change(tb testing.TB, sa *corev1.ServiceAccount) (woken []credential.Target) {
	tb.Helper()
	w.account = sa
	a := accounts{mapping: mapping{cache: w}, fails: func(credential.Target) bool { return false }}
	a.wake = func(t credential.Target, _ int) { woken = append(woken, t) }
	if _, err := a.Reconcile(tb.Context(), client.ObjectKeyFromObject(sa)); err != nil {
		tb.Fatal(err)
	}
	return woken
}

func TestAnEventOfAServiceAccountLooksAtTheCredentialsOfItsNamespaceOnce(t *testing.T) {
	w := newTown(map[string]int{"bad": 1000, "good": 2})
	if woken := w.change(t, account("good")); len(woken) != 2 || w.handed != 2 {
		t.Errorf("%d targets woken, %d credentials looked at; want 2 and 2", len(woken), w.handed)
	}
}

func TestAnIdentityThatChangesIsLookedAtAgainIfItsTargetsCannotBeFound(t *testing.T) {
	w := newTown(map[string]int{"team": 1})
	w.tenants["team"][0].Spec.Registries = []v1alpha1.Registry{{Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "default"}}}}
	w.account = account("team")
	var woken []credential.Target
	a := accounts{mapping: mapping{cache: w}, fails: func(credential.Target) bool { return false }}
	a.wake = func(t credential.Target, _ int) { woken = append(woken, t) }
	// The town has no index of Secrets.
	if _, err := a.Reconcile(t.Context(), client.ObjectKeyFromObject(w.account)); err == nil || len(woken) == 0 {
		t.Errorf("%d targets woken, %v: want those that are known, and to be asked again", len(woken), err)
	}
}

// What a selector asks is asked of the spec itself: an event costs no parsing, however many credentials there are.
func TestNoSelectorIsParsedForAnEvent(t *testing.T) {
	w := newTown(map[string]int{"bad": 1})
	c, err := credential.Of(&w.tenants["bad"][0])
	if err != nil {
		t.Fatal(err)
	}
	sa := account("bad")
	if allocations := testing.AllocsPerRun(10, func() {
		if !c.Links(sa) {
			t.Error("it is not linked")
		}
	}); allocations != 0 {
		t.Errorf("%.0f allocations to see whether a ServiceAccount is to be linked", allocations)
	}
}

func TestAServiceAccountThatIsAsItShouldBeWakesNobody(t *testing.T) {
	target := func(credentialName, secret string) credential.Target {
		return credential.Target{Credential: credential.Key{Namespace: "shop", Name: credentialName}, Namespace: "shop", Name: secret}
	}
	one := newTown(map[string]int{"shop": 1}).tenants["shop"][0]
	recorded := func(sa *corev1.ServiceAccount, t credential.Target) *corev1.ServiceAccount {
		metav1.SetMetaDataAnnotation(&sa.ObjectMeta, v1alpha1.AnnotationLinkPrefix+t.Name, t.LinkRecord())
		return sa
	}
	labelled := func(sa *corev1.ServiceAccount, key, value string) *corev1.ServiceAccount {
		metav1.SetMetaDataLabel(&sa.ObjectMeta, key, value)
		return sa
	}
	wanted, gone := target("pull-0", "pull-0"), target("gone", "gone")
	for name, c := range map[string]struct {
		sa    *corev1.ServiceAccount
		fails bool
		want  []credential.Target
	}{
		"without the link":                   {account("shop"), false, []credential.Target{wanted}},
		"with the link":                      {account("shop", "pull-0"), false, nil},
		"with the link and its record":       {recorded(account("shop", "pull-0"), wanted), false, nil},
		"with the link of one that fails":    {account("shop", "pull-0"), true, []credential.Target{wanted}},
		"with a link that nobody wants":      {recorded(account("shop", "pull-0", "gone"), gone), false, []credential.Target{gone}},
		"with a link that was somebody's":    {recorded(account("shop", "pull-0"), target("gone", "pull-0")), false, []credential.Target{target("gone", "pull-0")}},
		"of another team":                    {labelled(account("shop"), "team", "b"), false, nil},
		"of another team, with the link":     {labelled(recorded(account("shop", "pull-0"), wanted), "team", "b"), false, []credential.Target{wanted}},
		"left alone":                         {labelled(account("shop"), v1alpha1.LabelLink, v1alpha1.LabelLinkNever), false, nil},
		"left alone too late, with the link": {labelled(recorded(account("shop", "pull-0"), wanted), v1alpha1.LabelLink, v1alpha1.LabelLinkNever), false, []credential.Target{wanted}},
	} {
		own, err := credential.Of(&one)
		if err != nil {
			t.Fatal(err)
		}
		ns := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
		got := unlike(ns, c.sa, []*credential.Credential{own}, func(credential.Target) bool { return c.fails })
		if !slices.Equal(got, c.want) {
			t.Errorf("a ServiceAccount %s wakes %v, want %v", name, got, c.want)
		}
	}
}

func TestAServiceAccountThatIsGoneWakesWhoNamesIt(t *testing.T) {
	w := newTown(map[string]int{"shop": 2})
	w.tenants["shop"][1].Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	a := accounts{mapping: mapping{cache: w}, fails: func(credential.Target) bool { return false }}
	var woken []string
	a.wake = func(t credential.Target, _ int) { woken = append(woken, t.Name) }
	if _, err := a.Reconcile(t.Context(), client.ObjectKey{Namespace: "shop", Name: "default"}); err != nil || !slices.Equal(woken, []string{"pull-1"}) {
		t.Errorf("woken: %v, %v", woken, err)
	}
}

// However many there are when the controller starts, the queue holds one item for them: queues never shrink.
func TestServiceAccountsThatAreThereAtTheStartAreLookedAtTogether(t *testing.T) {
	q := priorityqueue.New[client.ObjectKey]("")
	defer q.ShutDown()
	for i := range 100 {
		sa := account(fmt.Sprint("team-", i))
		changedAccounts.Create(t.Context(), event.CreateEvent{Object: sa, IsInInitialList: true}, q)
	}
	if n := q.Len(); n != 1 {
		t.Errorf("%d items are queued, want one", n)
	}
	changedAccounts.Create(t.Context(), event.CreateEvent{Object: account("new")}, q)
	if n := q.Len(); n != 2 {
		t.Errorf("%d items are queued after another ServiceAccount was made, want two", n)
	}
}

// What a credential still keeps is woken by that.
func TestLinksThatNobodyKeepsAnyMoreAreLookedAtAtTheStart(t *testing.T) {
	sa := account("shop")
	sa.Annotations = map[string]string{}
	for _, secret := range []string{"kept", "renamed", "gone"} {
		sa.Annotations[v1alpha1.AnnotationLinkPrefix+secret] = v1alpha1.KindRegistryCredential + "/" + secret
	}
	kept := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "kept"}}
	renamed := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "renamed"}}
	renamed.Spec.SecretName = "another"
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	a := accounts{mapping: mapping{cache: fake.NewClientBuilder().WithScheme(scheme).WithObjects(sa, kept, renamed).Build()}}
	var woken []string
	a.wake = func(t credential.Target, _ int) { woken = append(woken, t.Name) }
	if _, err := a.Reconcile(t.Context(), atStart); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(woken); !slices.Equal(woken, []string{"gone", "renamed"}) {
		t.Errorf("woken: %v", woken)
	}
}

func TestServiceAccountsOfOneNamespaceHoldUpThoseOfNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := inTurn(accountWorkers, namespaceOf)
		q := o.NewQueue("", o.RateLimiter).(priorityqueue.PriorityQueue[client.ObjectKey])
		defer q.ShutDown()
		for i := range 10_000 {
			q.Add(client.ObjectKey{Namespace: "bad", Name: fmt.Sprint(i)})
		}
		synctest.Wait()
		q.Add(client.ObjectKey{Namespace: "good", Name: "default"})
		synctest.Wait()
		for range accountWorkers {
			if next, _ := q.Get(); next.Namespace == "good" {
				return
			}
		}
		t.Error("a neighbour's ServiceAccount waits behind the flood")
	})
}

// BenchmarkServiceAccountEvent is one event of a ServiceAccount that is as it should be, in a namespace with so many credentials of its own, beside
// one with so many.
func BenchmarkServiceAccountEvent(b *testing.B) {
	for _, c := range []struct{ own, others int }{{10, 10}, {10, 10_000}, {10_000, 10}} {
		b.Run(fmt.Sprintf("own=%d/others=%d", c.own, c.others), func(b *testing.B) {
			w := newTown(map[string]int{"good": c.own, "bad": c.others})
			linked := make([]string, c.own)
			for i := range linked {
				linked[i] = fmt.Sprintf("pull-%d", i)
			}
			sa := account("good", linked...)
			b.ReportAllocs()
			for b.Loop() {
				w.change(b, sa)
			}
		})
	}
}
