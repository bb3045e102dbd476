package policy

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// duties are what the controller does, and nothing of which the policies may hinder. That they hinder nothing else of it is proven by
// the wiring tests and the demo, which run under them.
var duties = []attack{
	{"publish", "", nil, creating(untouched)},
	{"publish a namespace's own", "", nil, creating(owner(v1alpha1.KindRegistryCredential, "regcred.dev/v1alpha1"))},
	{"rotate", "", victim(untouched), changing(func(s *corev1.Secret) { s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`) })},
	{"adopt what was handed over", "", victim(func(s *corev1.Secret) {
		foreign(s)
		s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
	}), changing(func(s *corev1.Secret) {
		good := pullSecret("", "regcred")
		s.Labels, s.OwnerReferences, s.Annotations = good.Labels, good.OwnerReferences, nil
	})},
	{"own again what was restored from a backup without owner", "", victim(func(s *corev1.Secret) { s.OwnerReferences = nil }),
		changing(func(s *corev1.Secret) { s.OwnerReferences = pullSecret("", "regcred").OwnerReferences })},
	{"repair a lost label", "", victim(func(s *corev1.Secret) { s.Labels = nil }),
		changing(func(s *corev1.Secret) { s.Labels = pullSecret("", "regcred").Labels })},
	{"keep somebody else's finalizer", "", victim(func(s *corev1.Secret) { s.Finalizers = []string{"example.com/theirs"} }), func(t *testing.T, ns string) error {
		t.Helper()
		err := changing(func(s *corev1.Secret) { s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`) })(t, ns)
		return err
	}},
	{"withdraw", "", victim(untouched), deleting},

	{"link", "", puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"RegistryCredential"}},"imagePullSecrets":[{"name":"theirs"},{"name":"ours"},{"name":"more"}]}`)},
	{"unlink", "", puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null}},"imagePullSecrets":[{"name":"theirs"}]}`)},
	{"forget a link that somebody removed", "", func(t *testing.T, ns string) {
		t.Helper()
		sa := account(ns, "puller")
		sa.Annotations = map[string]string{"link.regcred.dev/ours": "ClusterRegistryCredential"}
		must(t, admin.Create(t.Context(), sa))
	}, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null}}}`)},

	{"tidy up an excluded namespace", "", nil, func(t *testing.T, _ string) error {
		t.Helper()
		sa := account(metav1.NamespacePublic, "puller")
		sa.Annotations = map[string]string{"link.regcred.dev/ours": "ClusterRegistryCredential"}
		sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "ours"}}
		must(t, admin.Create(t.Context(), sa))
		victim(untouched)(t, metav1.NamespacePublic)
		if err := patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null}},"imagePullSecrets":[]}`)(t, metav1.NamespacePublic); err != nil {
			return err
		}
		must(t, admin.Delete(t.Context(), sa))
		return deleting(t, metav1.NamespacePublic)
	}},

	{"log in to AWS", "", puller, asking(audience("sts.amazonaws.com"))},
	{"log in to AWS in China", "", puller, asking(audience("sts.amazonaws.com.cn"))},
	{"log in to Azure", "", puller, asking(audience("api://AzureADTokenExchange"))},
	{"log in to Azure in China", "", puller, asking(audience("api://AzureADTokenExchangeChina"))},
	{"log in to Azure for US Government", "", puller, asking(audience("api://AzureADTokenExchangeUSGov"))},
	{"log in to Google Cloud", "", puller, asking(audience("https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"))},
	{"log in to Google Cloud by the name of its resource", "", puller, asking(audience("//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"))},
	{"log in to Google Cloud on GKE", "", puller, asking(audience("my-project.svc.id.goog"))},
	{"log in to Google Cloud on GKE in a project of a domain", "", puller, asking(audience("example.com:my-project.svc.id.goog"))},
	{"ask for an hour", "", puller, asking(func(s *authenticationv1.TokenRequestSpec) { s.ExpirationSeconds = new(int64(3600)) })},
}

func TestTheControllerCanDoItsDuties(t *testing.T) {
	withPolicies(t, true)
	for _, duty := range duties {
		t.Run(duty.name, func(t *testing.T) {
			if err := carryOut(t, duty); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// TestNobodyCanAddTheAPIServer: an audience of one's own is added to the policy, one of the API server is not.
func TestNobodyCanAddTheAPIServer(t *testing.T) {
	withPolicies(t, true)
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), "apply", "-f", root+"/config/policy/tokens.yaml"); err != nil {
			t.Error(err)
		}
	})
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: "regcred-tokens"}, policy))
	for i := range policy.Spec.Variables {
		if policy.Spec.Variables[i].Name == "moreAudiences" {
			policy.Spec.Variables[i].Expression = "['vault', 'https://kubernetes.default.svc.cluster.local']"
		}
	}
	must(t, admin.Update(t.Context(), policy))
	ns := namespace(t)
	puller(t, ns)
	await(t, "an audience that was added", func() bool { return asking(audience("vault"))(t, ns) == nil })
	err := asking(audience("https://kubernetes.default.svc.cluster.local"))(t, ns)
	if !denies(tokens, err) || !strings.Contains(err.Error(), "an audience of the API server") {
		t.Errorf("not refused: %v", err)
	}
}
