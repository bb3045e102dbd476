package target

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// memory is a cache and an API server in one, with one credential, one namespace, and at most one Secret.
type memory struct {
	client.Client
	credential v1alpha1.ClusterRegistryCredential
	namespace  metav1.PartialObjectMetadata
	secret     *metav1.PartialObjectMetadata
}

func (m *memory) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *v1alpha1.ClusterRegistryCredential:
		*o = m.credential
	case *metav1.PartialObjectMetadata:
		switch {
		case o.Kind == view.KindNamespace:
			*o = m.namespace
		case m.secret == nil:
			return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
		default:
			*o = *m.secret
		}
	}
	return nil
}

func (m *memory) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

// Create keeps what the cache would.
func (m *memory) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	made := o.(*corev1.Secret) //nolint:forcetypeassert // nothing else is made
	made.UID, made.ResourceVersion = "1", "7"
	m.secret = view.SecretMetadata()
	m.secret.ObjectMeta = *made.ObjectMeta.DeepCopy()
	m.secret.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.FieldManager, FieldsV1: metav1.NewFieldsV1(
		`{"f:data":{"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{"f:regcred.dev/registries":{}}}}`)}}
	pullsecret.Trim(m.secret)
	return nil
}

type oneToken struct{}

func (oneToken) Token(context.Context, providers.Request) (providers.Token, error) {
	return providers.Token{
		Logins:    []providers.Login{{Username: "AWS", Password: "x", Hosts: []string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com"}}},
		ExpiresAt: time.Now().Add(12 * time.Hour),
	}, nil
}

type nobody struct{}

func (nobody) Linked(credential.Key, link.Changes)                       {}
func (nobody) Report(*credential.Credential, credential.Target, Outcome) {}
func (nobody) Forget(credential.Target)                                  {}
func (nobody) Failure(credential.Target, string) *credential.Failure     { return nil }

// served is a target whose Secret is as it should be.
func served(tb testing.TB) (*Reconciler, credential.Target) {
	tb.Helper()
	m := &memory{namespace: *view.NamespaceMetadata()}
	m.namespace.Name = "shop"
	m.credential.Name, m.credential.UID = "pull", "0"
	m.credential.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1", Accounts: []string{"123456789012"}}}}
	woken := make(chan struct{}, 1)
	r := New(Config{
		Cache: m, Live: m, Client: m, Clock: clock.RealClock{}, Outcomes: nobody{}, Wake: func(credential.Target, int) { woken <- struct{}{} },
		Tokens: broker.New(tb.Context(), broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": oneToken{}}}),
	})
	target := credential.Target{Credential: credential.Key{Name: "pull"}, Namespace: "shop", Name: "pull"}
	reconcile := func() {
		if _, err := r.Reconcile(tb.Context(), target); err != nil {
			tb.Fatal(err)
		}
	}
	reconcile() // which asks for a token
	<-woken
	reconcile()
	if m.secret == nil {
		tb.Fatal("no Secret was made")
	}
	reconcile() // which sees it
	return r, target
}

// Every target is looked at again whenever anything happens to it, and after a restart all of them are.
func TestALookAtASecretThatIsAsItShouldBeTakesFewAllocations(t *testing.T) {
	r, target := served(t)
	got := testing.AllocsPerRun(1000, func() { _, _ = r.Reconcile(t.Context(), target) })
	t.Logf("%.0f allocations", got)
	if got > 30 {
		t.Errorf("%.0f allocations, want 30 at most", got)
	}
}

func BenchmarkALookAtASecretThatIsAsItShouldBe(b *testing.B) {
	r, target := served(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Reconcile(b.Context(), target); err != nil {
			b.Fatal(err)
		}
	}
}
