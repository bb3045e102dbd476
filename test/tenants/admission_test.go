package tenants

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// The answers that a webhook may give.
var (
	hangs = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	fails = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) }
	// conflicts answers as if somebody else had been faster.
	conflicts = refuses(http.StatusConflict)
	denies    = refuses(http.StatusForbidden)
	// throttles asks for patience.
	throttles = refuses(http.StatusTooManyRequests)
)

// refuses says no to the controller, and to nobody else.
func refuses(code int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Allowed: review.Request.UserInfo.Username != controllerUser,
			Result: &metav1.Status{Code: code, Message: "the secret word is " + secretWord},
		}
		_ = json.NewEncoder(w).Encode(review)
	}
}

// secretWord is in what a webhook says, and in nothing that others read.
const secretWord = "xyzzy-plugh"

// admissionAbuses are namespaces in which the API server refuses what the controller has to do.
var admissionAbuses = []abuse{
	{name: "a webhook that denies its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", denies), says: func(u *tenant) {
		u.pulls(platform)
		u.failing(v1alpha1.ReasonLinkFailed)
	}},
	{name: "a webhook that sees a conflict in its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", conflicts), says: func(u *tenant) { u.pulls(platform) }},
	{name: "a webhook that denies its Secrets", unselected: true, storm: true, do: blocking("secrets", denies), says: rejected},
	{name: "no quota for Secrets", unselected: true, storm: true, do: func(u *tenant) {
		u.quota("0")
		u.join()
	}, says: func(u *tenant) { u.failing(v1alpha1.ReasonSecretRejected) }},
	{name: "a webhook that sees a conflict in its Secrets", unselected: true, storm: true, do: blocking("secrets", conflicts), says: rejected},
	{name: "a webhook that throttles its Secrets", unselected: true, storm: true, do: blocking("secrets", throttles), says: rejected},
	{name: "a webhook that hangs for its Secrets", unselected: true, storm: true, do: blocking("secrets", hangs), says: rejected},
	{name: "a webhook that fails for its Secrets", unselected: true, storm: true, do: blocking("secrets", fails), says: rejected},
	{name: "a webhook that hangs for its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", hangs), says: func(u *tenant) {
		u.pulls(platform) // a link that fails stops no token
		u.failing(v1alpha1.ReasonLinkFailed, v1alpha1.ReasonInternal)
	}},
	{name: "a webhook that fails for its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", fails), says: func(u *tenant) {
		u.pulls(platform)
		u.failing(v1alpha1.ReasonLinkFailed, v1alpha1.ReasonInternal)
	}},
	{name: "a quota that is full, and our label taken off", mints: 1, do: func(u *tenant) {
		u.quota(fmt.Sprint(u.secrets()))
		u.patch(u.target(platform), `{"metadata":{"labels":{"regcred.dev/secret":null}}}`)
	}, says: func(u *tenant) {
		u.eventually("the label", func() bool {
			s := u.target(platform)
			return u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s) == nil && s.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget
		})
	}},
	{name: "a quota that is full, and a foreign Secret in the way", unselected: true, mints: 1, do: func(u *tenant) {
		u.create(&corev1.Secret{ObjectMeta: u.object(platform), Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}})
		u.quota(fmt.Sprint(u.secrets()))
		u.join()
		conflicting(u)
		u.annotate(u.target(platform), map[string]string{v1alpha1.AnnotationAdopt: "true"})
		u.patch(u.account("default"), `{"metadata":{"labels":{"look":"again"}}}`)
	}, says: repaired},
}

func rejected(u *tenant) {
	u.Helper()
	u.failing(v1alpha1.ReasonSecretRejected, v1alpha1.ReasonInternal, v1alpha1.ReasonUnavailable)
}

// blocking lets the namespace join the cluster's credential when its webhook stands.
func blocking(resource string, answer http.HandlerFunc) func(*tenant) {
	return func(u *tenant) {
		u.Helper()
		u.webhook(resource, answer)
		u.join()
		waitFor(u.T, quiet)
	}
}

// webhook is asked about every write of the resource in the namespace, until the test ends.
func (u *tenant) webhook(resource string, answer http.HandlerFunc) {
	u.Helper()
	asked, once := make(chan struct{}), sync.Once{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(asked) })
		answer(w, r)
	}))
	u.whole.Cleanup(server.Close)
	u.whole.Cleanup(server.CloseClientConnections)
	url := server.URL + "/"
	hook := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: u.ns}}
	hook.Webhooks = []admissionregistrationv1.ValidatingWebhook{{
		Name: "tenant.example.com", AdmissionReviewVersions: []string{"v1"},
		SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(10)),
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: u.ns}},
		ClientConfig: admissionregistrationv1.WebhookClientConfig{
			URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
		}},
	}}
	u.must(u.admin.Create(u.Context(), hook))
	u.whole.Cleanup(func() { u.in(u.whole).must(u.admin.Delete(context.WithoutCancel(u.whole.Context()), hook)) })
	u.eventually("its webhook to be asked", func() bool {
		ctx, cancel := context.WithTimeout(u.Context(), time.Second) // it may hang
		defer cancel()
		probe := map[string]client.Object{"secrets": u.target("probe"), "serviceaccounts": u.account("probe")}[resource]
		_ = u.admin.Create(ctx, probe, client.DryRunAll) // it may be refused
		select {
		case <-asked:
			return true
		default:
			return false
		}
	})
}

// join gives the namespace the label that the cluster's credential selects by.
func (u *tenant) join() {
	u.Helper()
	u.must(u.admin.Patch(u.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pull":"platform"}}}`))))
}

// quota bounds how many Secrets there may be, and waits until that holds.
func (u *tenant) quota(hard string) {
	u.Helper()
	q := &corev1.ResourceQuota{ObjectMeta: u.object("full")}
	q.Spec.Hard = corev1.ResourceList{"count/secrets": resource.MustParse(hard)}
	u.must(u.admin.Create(u.Context(), q))
	u.eventually("the quota to be counted", func() bool {
		return u.admin.Get(u.Context(), client.ObjectKeyFromObject(q), q) == nil && len(q.Status.Used) > 0
	})
}

func (u *tenant) secrets() int {
	u.Helper()
	list := &corev1.SecretList{}
	u.must(u.edit.List(u.Context(), list, client.InNamespace(u.ns)))
	return len(list.Items)
}
