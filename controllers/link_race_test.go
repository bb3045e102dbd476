package controllers

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

// frozen reads the ServiceAccounts as they once were.
type frozen struct {
	client.Reader
	accounts corev1.ServiceAccountList
}

func (f *frozen) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	f.accounts.DeepCopyInto(list.(*corev1.ServiceAccountList)) //nolint:forcetypeassert // nothing else is read
	return nil
}

// Many credentials link one ServiceAccount. Who would only meet a conflict asks nothing of the API server.
func TestAServiceAccountIsChangedForOneCredentialAtATime(t *testing.T) {
	w, ns := newWorld(t)
	w.apply(ns, nil, registry("prod", "eu-west-1")) // which makes the namespace and its ServiceAccount
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	var requests atomic.Int32
	begun, goOn := make(chan struct{}), make(chan struct{})
	counting := interceptor.NewClient(watched, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if requests.Add(1) == 1 {
				close(begun)
				<-goOn
			}
			return c.Patch(ctx, o, patch, opts...)
		},
	})
	stale := &frozen{}
	w.must(w.admin.List(t.Context(), &stale.accounts, client.InNamespace(ns)))
	linker := link.New(w.Clock)
	accountsOf := func(cache client.Reader) func(context.Context, string) ([]*corev1.ServiceAccount, error) {
		return func(ctx context.Context, namespace string) ([]*corev1.ServiceAccount, error) {
			return view.ServiceAccounts(ctx, cache, namespace)
		}
	}
	reconcile := func(name string, cache client.Reader) error {
		target := credential.Target{Credential: credential.Key{Namespace: ns, Name: name}, Namespace: ns, Name: name}
		out, lost := linker.Sync(t.Context(), link.API{Accounts: accountsOf(cache), Live: w.admin, Client: counting}, target, link.Wishes{
			Wanted: func(metav1.Object) (*credential.Target, error) { return &target, nil },
			Dead:   func(credential.Target) bool { return false },
		})
		if out.Failure != nil {
			t.Errorf("%s: %s", name, out.Failure.Message)
		}
		return lost
	}
	first := make(chan error)
	go func() { first <- reconcile("first", stale) }()
	<-begun
	if err := reconcile("second", stale); !apierrors.IsConflict(err) || requests.Load() != 1 {
		t.Errorf("while it is being changed: %v, %d requests", err, requests.Load())
	}
	close(goOn)
	w.must(<-first)
	if err := reconcile("second", stale); !apierrors.IsConflict(err) || requests.Load() != 1 {
		t.Errorf("while the cache does not show the change: %v, %d requests", err, requests.Load())
	}
	w.must(reconcile("second", w.admin))
	if got := w.links(ns, "default"); !slices.Contains(got, "first") || !slices.Contains(got, "second") || requests.Load() != 2 {
		t.Errorf("linked %v in %d requests", got, requests.Load())
	}
}
