package faults

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// refusal is what keeps the controller from writing in the second namespace.
type refusal struct {
	name string
	// objects make it, and their deletion ends it.
	objects func(*scene) []client.Object
	// refused is whether a write of the controller would be, now.
	refused func(*scene) bool
	// left is what the second namespace has of the credential all the same.
	left func(*scene) bool
}

var refusals = []refusal{
	{"a quota that is used up", quota, refusedSecret, func(s *scene) bool { return s.linked("two") }},
	{"a webhook that hangs at its Secrets", webhook("secrets"), refusedSecret, func(s *scene) bool { return s.linked("two") }},
	{"a webhook that hangs at its ServiceAccounts", webhook("serviceaccounts"), refusedAccount, func(s *scene) bool { return s.pulls("two") }},
}

// Whatever keeps the controller from writing in one namespace is no matter of the other, is reported, costs no token, and once it is over
// what was asked for is there.
func TestWhatANamespaceRefusesIsThereOnceItDoesNot(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			s := newScene(t)
			defer s.end()
			between.arm(trap{})
			objects := r.objects(s)
			for _, o := range objects {
				s.must(world.Client.Create(t.Context(), o))
				t.Cleanup(func() { _ = world.Client.Delete(s.ending(), o) })
			}
			s.await("the refusal", func() bool { return r.refused(s) })
			s.must(world.Client.Create(t.Context(), s.credential()))
			s.await("tokens and a link in the other namespace", func() bool { return s.served("one", true) })
			s.await("a word on it in status", func() bool { return s.tells("two") && r.left(s) })
			if s.served("two", true) {
				t.Fatal("nothing was refused")
			}
			for _, o := range objects {
				s.must(world.Client.Delete(t.Context(), o))
			}
			s.await("the end of the refusal", func() bool { return !r.refused(s) })
			if !*nightly { // it is tried again within two minutes
				s.selected("two", false)
				s.selected("two", true)
			}
			s.await("what was asked for", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
			if n := s.mints(); n != 1 {
				t.Errorf("%d tokens were minted, want 1", n)
			}
		})
	}
}

// A namespace that is being deleted, for as long as that may take, is no failure and no work. When it is there again, it is served again.
func TestANamespaceThatEndsIsLeftAlone(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	ending := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.name, Labels: map[string]string{"scene": s.name}}}
	s.must(world.Client.Create(t.Context(), ending.DeepCopy()))
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("tokens", func() bool { return s.served("one", true) && s.served("two", true) && s.pulls(s.name) && s.reported(3) })

	holds := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: "holds", Finalizers: []string{"faults.example.com/holds"}}}
	s.must(world.Client.Create(t.Context(), holds))
	s.must(world.Client.Delete(t.Context(), ending.DeepCopy()))
	s.await("the end of its Secret", func() bool { return s.password(s.name) == "" })
	between.held(2 * still)
	between.arm(trap{})
	s.later(2 * time.Minute)
	s.refresh("while it ends")
	s.await("a refresh of the others", func() bool {
		return s.mints() == 2 && s.served("one", true) && s.served("two", true) && s.answered("while it ends")
	})
	if done := between.counted(); len(done) > enough {
		t.Errorf("the controller does not come to rest: %q", done)
	}

	s.must(world.Client.Patch(t.Context(), holds, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	s.await("its end", func() bool {
		return apierrors.IsNotFound(world.Client.Get(t.Context(), client.ObjectKeyFromObject(ending), &corev1.Namespace{}))
	})
	s.must(world.Client.Create(t.Context(), ending.DeepCopy()))
	defer func() { _ = world.Client.Delete(s.ending(), ending) }()
	s.await("its Secret", func() bool { return s.pulls(s.name) && s.reported(3) })
	if n := s.mints(); n != 2 {
		t.Errorf("%d tokens were minted, want 2", n)
	}
}

// tells is whether status names the namespace among those that fail.
func (s *scene) tells(ns string) bool {
	c := &v1alpha1.ClusterRegistryCredential{}
	s.must(world.Client.Get(s.Context(), client.ObjectKey{Name: s.name}, c))
	return slices.ContainsFunc(c.Status.Failures, func(f v1alpha1.FailureGroup) bool { return slices.Contains(f.Namespaces, ns) })
}

// refusedSecret is whether the second namespace takes no Secret more.
func refusedSecret(s *scene) bool {
	probe := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "two", Name: s.name + "-probe"}}
	return world.Client.Create(s.Context(), probe, client.DryRunAll) != nil
}

func refusedAccount(s *scene) bool {
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":[{"name":"probe"}]}`))
	return world.Client.Patch(s.Context(), s.account("two"), patch, client.DryRunAll) != nil
}

// quota allows no Secret more.
func quota(s *scene) []client.Object {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "two", Name: s.name}}
	q.Spec.Hard = corev1.ResourceList{"count/secrets": resource.MustParse("0")}
	return []client.Object{q}
}

// webhook is asked about every write of the resource in the second namespace, and never answers.
func webhook(resource string) func(*scene) []client.Object {
	return func(s *scene) []client.Object {
		server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // that the client has gone is seen after that
			<-r.Context().Done()
		}))
		s.Cleanup(server.Close)
		s.Cleanup(server.CloseClientConnections)
		hook := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
		hook.Webhooks = []admissionregistrationv1.ValidatingWebhook{{
			Name: "hangs.example.com", AdmissionReviewVersions: []string{"v1"},
			SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(2)),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "two"}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
			}},
		}}
		return []client.Object{hook}
	}
}
