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
	{"rotate", "", victim(untouched), changing(rotated)},
	{"rotate by a patch", "", victim(theirs), func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Patch(t.Context(), pullSecret(ns, "regcred"), client.RawPatch("application/merge-patch+json",
			[]byte(`{"metadata":{"annotations":{"regcred.dev/registries":"[]"}},"data":{".dockerconfigjson":"eyJhdXRocyI6e319"}}`)))
	}},
	{"publish under another name than the credential's", "", nil, creating(func(s *corev1.Secret) { s.Name = "another" })},
	{"adopt what was handed over", "", victim(all(foreign, handedOver, theirs)), changing(all(labelled, kept(keeper), annotated(record, "[]"), rotated))},
	{"rotate what was handed over", "", victim(all(kept(keeper), handedOver)), changing(rotated)},
	{"repair the label of what was handed over", "", victim(all(kept(keeper), handedOver, func(s *corev1.Secret) { s.Labels = nil })), changing(labelled)},
	{"repair the label of what is kept", "", victim(all(kept(keeper), retained, func(s *corev1.Secret) { s.Labels = nil })), changing(labelled)},
	{"give back", "", victim(all(kept(keeper), handedOver, theirs, annotated(record, "[]"))), changing(givenBack)},
	{"give back by a patch", "", victim(all(kept(keeper), handedOver, annotated(record, "[]"))), func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Patch(t.Context(), pullSecret(ns, "regcred"), client.RawPatch("application/merge-patch+json",
			[]byte(`{"metadata":{"labels":{"regcred.dev/secret":null},"annotations":{"regcred.dev/registries":null,"regcred.dev/kept-by":null}}}`)))
	}},
	{"publish what outlives its credential", "", nil, creating(all(kept(keeper), retained))},
	{"let a Secret outlive its credential", "", victim(untouched), changing(all(kept(keeper), retained))},
	{"take up a Secret that has outlived its credential", "", victim(all(kept(keeper), retained)), changing(rotated)},
	{"own a Secret that is to outlive its credential no more", "", victim(all(kept(keeper), retained)), changing(all(owned, func(s *corev1.Secret) { s.Annotations = nil }))},
	{"withdraw what is kept", "", victim(kept(keeper)), deleting},
	{"own again what was restored from a backup without owner", "", victim(func(s *corev1.Secret) { s.OwnerReferences = nil }),
		changing(owned)},
	{"repair a lost label", "", victim(func(s *corev1.Secret) { s.Labels = nil }),
		changing(labelled)},
	{"keep somebody else's finalizer", "", victim(func(s *corev1.Secret) { s.Finalizers = []string{"example.com/theirs"} }), changing(rotated)},
	{"withdraw", "", victim(untouched), deleting},

	{"link", "", puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"RegistryCredential"}},"imagePullSecrets":[{"name":"theirs"},{"name":"ours"},{"name":"more"}]}`)},
	{"link for a credential of another name", "", puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"RegistryCredential/other"}},"imagePullSecrets":[{"name":"theirs"},{"name":"ours"},{"name":"more"}]}`)},
	{"pass a link to another credential", "", puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":"RegistryCredential/other"}}}`)},
	{"unlink for a credential of another name", "", func(t *testing.T, ns string) {
		t.Helper()
		sa := account(ns, "puller")
		sa.Annotations = map[string]string{"link.regcred.dev/ours": "RegistryCredential/other", "link.regcred.dev/gone": "RegistryCredential"}
		sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "ours"}, {Name: "gone"}}
		must(t, admin.Create(t.Context(), sa))
	}, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null,"link.regcred.dev/gone":null}},"imagePullSecrets":[]}`)},
	{"unlink a ServiceAccount that is to be left alone", "", leftAlone, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null}},"imagePullSecrets":[]}`)},
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

	{"evict a pod that it has looked at", "", nil, evicting("", func(*metav1.DeleteOptions) {})},

	{"log in to AWS", "", puller, asking(audience("sts.amazonaws.com"))},
	{"log in to AWS in China", "", puller, asking(audience("sts.amazonaws.com.cn"))},
	{"log in to Azure", "", puller, asking(audience("api://AzureADTokenExchange"))},
	{"log in to Azure by an identity binding of AKS", "", puller, asking(audience("api://AKSIdentityBinding"))},
	{"log in to Azure in China", "", puller, asking(audience("api://AzureADTokenExchangeChina"))},
	{"log in to Azure for US Government", "", puller, asking(audience("api://AzureADTokenExchangeUSGov"))},
	{"log in to Google Cloud", "", puller, asking(audience("https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"))},
	{"log in to Google Cloud by the name of its resource", "", puller, asking(audience("//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"))},
	{"log in to Google Cloud on GKE", "", puller, asking(audience("my-project.svc.id.goog"))},
	{"log in to Google Cloud on GKE in a project of a domain", "", puller, asking(audience("example.com:my-project.svc.id.goog"))},
	{"ask for an hour", "", puller, asking(func(s *authenticationv1.TokenRequestSpec) { s.ExpirationSeconds = new(int64(3600)) })},
}

func rotated(s *corev1.Secret) { s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`) }

// leftAlone is a ServiceAccount with a link of ours that wants no more.
func leftAlone(t *testing.T, ns string) {
	t.Helper()
	sa := account(ns, "puller")
	sa.Labels = map[string]string{v1alpha1.LabelLink: v1alpha1.LabelLinkNever}
	sa.Annotations = map[string]string{"link.regcred.dev/ours": "ClusterRegistryCredential"}
	sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "ours"}}
	must(t, admin.Create(t.Context(), sa))
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

// TestExcludedNamespacesAreWholeNames takes the expression that the chart makes of the glob openshift-*.
func TestExcludedNamespacesAreWholeNames(t *testing.T) {
	withPolicies(t, true)
	setVariable(t, "secrets", "excludedNamespaces", "['^openshift-.*$']")
	excluded, served := "openshift-monitoring", "my-openshift-monitoring"
	for _, name := range []string{excluded, served} {
		must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	await(t, "a namespace to be excluded", func() bool { return denies(secrets, creating(untouched)(t, excluded)) })
	if err := creating(untouched)(t, served); err != nil {
		t.Errorf("a namespace whose name ends like an excluded one: %v", err)
	}
}

// setVariable sets a variable of a policy until the test ends, as the chart does.
func setVariable(t *testing.T, name, variable, expression string) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), "apply", "-f", root+"/config/policy/"+name+".yaml"); err != nil {
			t.Error(err)
		}
	})
	spec := policyNamed(t, "regcred-"+name).Spec
	set(&spec, variable, expression)
	enforce(t, "regcred-"+name, spec)
}

// set gives a variable of a policy another value.
func set(spec *admissionregistrationv1.ValidatingAdmissionPolicySpec, variable, expression string) {
	for i := range spec.Variables {
		if spec.Variables[i].Name == variable {
			spec.Variables[i].Expression = expression
		}
	}
}

// TestNobodyCanAddTheAPIServer: an audience of one's own is added to the policy, one of the API server is not.
func TestNobodyCanAddTheAPIServer(t *testing.T) {
	withPolicies(t, true)
	setVariable(t, "tokens", "moreAudiences", "['vault', 'https://kubernetes.default.svc.cluster.local']")
	ns := namespace(t)
	puller(t, ns)
	await(t, "an audience that was added", func() bool { return asking(audience("vault"))(t, ns) == nil })
	err := asking(audience("https://kubernetes.default.svc.cluster.local"))(t, ns)
	if !denies(tokens, err) || !strings.Contains(err.Error(), "an audience of the API server") {
		t.Errorf("not refused: %v", err)
	}
}
