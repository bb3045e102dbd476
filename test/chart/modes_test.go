package chart

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

func own(namespace, name string) *v1alpha1.RegistryCredential {
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	return c
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	must(t, world.Client.Create(t.Context(), o))
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(world.Client.Delete(context.Background(), o)); err != nil && !meta.IsNoMatchError(err) {
			t.Error(err)
		}
	})
}

func TestAnInstallForSomeNamespacesServesThemAndReadsNothingElse(t *testing.T) {
	installCRDs(t)
	for _, ns := range []string{"confined", "inside", "outside"} {
		namespace(t, ns, map[string]string{"team": "confined"})
	}
	// A cluster-wide credential of somebody else's controller, whose link and Secret are not to be taken for left behind.
	create(t, &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Spec: v1alpha1.ClusterCredentialSpec{
		NamespaceSelector: v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"team": "confined"}},
		CredentialSpec:    own("", "").Spec,
	}})
	kubectl(t, "", "annotate", "serviceaccount", "default", "-n", "inside", "link.regcred.dev/theirs=ClusterRegistryCredential")
	kubectl(t, "", "patch", "serviceaccount", "default", "-n", "inside", "-p", `{"imagePullSecrets":[{"name":"theirs"}]}`)

	began := time.Now()
	install(t, "confined", "--skip-crds", "--set", "watchNamespaces={inside},metrics.secure=false,allowAmbientIdentity=true")
	start(t, "confined")
	create(t, own("inside", "ours"))
	create(t, own("outside", "ours"))
	first := secret(t, "inside", "ours")
	linked(t, "inside", "ours")
	// A deleted Secret is noticed, so there is a watch.
	must(t, world.Client.Delete(t.Context(), first))
	eventually(t, "the Secret to be restored", func() (bool, error) {
		s := &corev1.Secret{}
		err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(first), s)
		return err == nil && s.UID != first.UID, client.IgnoreNotFound(err)
	})
	if got := links(t, "inside"); !slices.Equal(got, []string{"theirs", "ours"}) {
		t.Errorf("linked to %q", got)
	}
	if err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: "outside", Name: "ours"}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace outside is served: %v", err)
	}
	user := "system:serviceaccount:confined:regcred"
	if got := requests(t, user, began, refused); len(got) > 0 {
		t.Errorf("refused to the controller: %+v", got)
	}
	elsewhere := requests(t, user, began, func(r controlplane.AuditRequest) bool {
		return r.Resource != "" && r.Namespace != "inside" && r.Namespace != "confined"
	})
	if len(elsewhere) > 0 {
		t.Errorf("the controller reads elsewhere: %+v", elsewhere)
	}
}

func TestAnInstallForSomeSecretsReadsNoOther(t *testing.T) {
	installCRDs(t)
	for _, ns := range []string{"named", "named-team"} {
		namespace(t, ns, nil)
	}
	must(t, world.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "named-team", Name: "password", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
	}))
	began := time.Now()
	install(t, "named", "--skip-crds", "--set", "secretNames={regcred,second},allowAmbientIdentity=true")
	start(t, "named")
	create(t, own("named-team", "regcred"))
	create(t, own("named-team", "second"))
	create(t, own("named-team", "another"))
	first := secret(t, "named-team", "regcred")
	second := secret(t, "named-team", "second")
	for _, s := range []*corev1.Secret{first, second} {
		uid := s.UID
		must(t, world.Client.Delete(t.Context(), s))
		eventually(t, s.Name+" to be restored", func() (bool, error) {
			err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(s), s)
			return err == nil && s.UID != uid, client.IgnoreNotFound(err)
		})
	}
	eventually(t, "another to be told why it is not served", func() (bool, error) {
		c := &v1alpha1.RegistryCredential{}
		err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: "named-team", Name: "another"}, c)
		stalled := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionStalled)
		return stalled != nil && stalled.Reason == v1alpha1.ReasonNameNotServed && strings.Contains(stalled.Message, "regcred, second"), err
	})
	user := "system:serviceaccount:named:regcred"
	if got := requests(t, user, began, refused); len(got) > 0 {
		t.Errorf("refused to the controller: %+v", got)
	}
	watched := map[string]bool{}
	for _, r := range requests(t, user, began, func(r controlplane.AuditRequest) bool { return r.Resource == "secrets" && !writes(r) }) {
		watched[r.Name] = watched[r.Name] || r.Verb == "watch"
	}
	if diff := cmp.Diff(map[string]bool{"regcred": true, "second": true}, watched); diff != "" {
		t.Errorf("Secrets that were read, and whether they were watched (-want +got):\n%s", diff)
	}
	// An identity of another name is explained.
	c := own("named-team", "second")
	must(t, world.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c))
	c.Spec.Registries[0].Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "password"}}
	must(t, world.Client.Update(t.Context(), c))
	eventually(t, "the identity to be explained", func() (bool, error) {
		err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Registries) > 0 && strings.Contains(c.Status.Registries[0].Message, "--secret-names"), err
	})
}

func TestAnInstallThatDiagnosesNoPullsAsksForNoPods(t *testing.T) {
	installCRDs(t)
	for _, ns := range []string{"undiagnosed", "undiagnosed-team"} {
		namespace(t, ns, nil)
	}
	began := time.Now()
	install(t, "undiagnosed", "--skip-crds", "--set", "diagnosePulls=false,allowAmbientIdentity=true")
	start(t, "undiagnosed")
	c := own("undiagnosed-team", "ours")
	c.Spec.ServiceAccounts.RecoverPods = v1alpha1.RecoverPodsEvict
	create(t, c)
	first := secret(t, "undiagnosed-team", "ours")
	// A pod without the link, whose pull has failed: diagnosed, it would be read and told of.
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "undiagnosed-team", Name: "app"}}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1"}}
	create(t, pod)
	create(t, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.Namespace, Name: "app.1"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Reason:         "Failed", Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "kubelet"},
		Message: "Failed to pull image \"" + pod.Spec.Containers[0].Image + "\": unexpected status: 401 Unauthorized",
	})
	must(t, world.Client.Delete(t.Context(), first))
	eventually(t, "the Secret to be restored", func() (bool, error) {
		s := &corev1.Secret{}
		err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(first), s)
		return err == nil && s.UID != first.UID, client.IgnoreNotFound(err)
	})
	asked := requests(t, "system:serviceaccount:undiagnosed:regcred", began, func(r controlplane.AuditRequest) bool {
		return refused(r) || r.Resource == "pods" || r.Resource == "events" && r.Verb != "create" && r.Verb != "patch"
	})
	if len(asked) > 0 {
		t.Errorf("the controller asked for %+v", asked)
	}
}

// metricsAreGuarded scrapes as nobody, as somebody and as the ServiceAccount that metrics.scrapers names.
func metricsAreGuarded(t *testing.T, controller *lab.Controller) {
	t.Helper()
	namespace(t, "monitoring", nil)
	for name, want := range map[string]int{"": http.StatusUnauthorized, "somebody": http.StatusForbidden, "prometheus": http.StatusOK} {
		bearer := ""
		if name != "" {
			sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: name}}
			must(t, client.IgnoreAlreadyExists(world.Client.Create(t.Context(), sa)))
			token := &authenticationv1.TokenRequest{}
			must(t, world.Client.SubResource("token").Create(t.Context(), sa, token))
			bearer = token.Status.Token
		}
		eventually(t, "the right answer for "+name, func() (bool, error) {
			status, protocol, body := scrape(t, controller.Metrics, bearer)
			if protocol != "HTTP/1.1" {
				t.Errorf("metrics are served over %s", protocol)
			}
			if want == http.StatusOK && status == want && !strings.Contains(body, "regcred_targets") {
				t.Error("no metrics of ours")
			}
			return status == want, nil
		})
	}
}

func scrape(t *testing.T, url, bearer string) (status int, protocol, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	must(t, err)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Proto, string(content)
}
