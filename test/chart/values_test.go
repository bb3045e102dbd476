package chart

import (
	"errors"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// TestTheValuesReachThePolicies: what the chart puts into the copied policies is what they decide by.
func TestTheValuesReachThePolicies(t *testing.T) {
	installCRDs(t)
	for _, ns := range []string{"reach", "reach-team", "reach-vault"} {
		namespace(t, ns, nil)
	}
	install(t, "reach", "--skip-crds", "--set", "serviceAccount.name=puller,policies.tokenAudiences={https://acme.jfrog.io},artifactory.audiences.https://acme\\.jfrog\\.io={jfrog},secretNames={regcred},excludedNamespaces={reach-vault,reach}")
	user := "system:serviceaccount:reach:puller"
	cfg, _, err := world.AddUser(user, []string{"system:serviceaccounts", "system:serviceaccounts:reach", "system:authenticated"})
	must(t, err)
	controller, err := client.New(cfg, client.Options{Scheme: world.Client.Scheme()})
	must(t, err)

	token := func(namespace, audience string) error {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
		return controller.SubResource("token").Create(t.Context(), sa, &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}},
		})
	}
	publish := func(namespace, name string) error {
		return controller.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget},
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRegistryCredential, Name: name, UID: "1", Controller: new(true),
				}},
			},
			Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
		}, client.DryRunAll)
	}
	eventually(t, "the policies to be enforced", func() (bool, error) {
		return denied(token("reach-team", "vault"), "audience") && denied(publish("reach-team", "another"), "--secret-names"), nil
	})
	for _, c := range []struct {
		what    string
		err     error
		refusal string
	}{
		{"an audience of one's own", token("reach-team", "https://acme.jfrog.io"), ""},
		{"an audience that is bound to a platform", token("reach-team", "jfrog"), ""},
		{"an audience of AWS", token("reach-team", "sts.amazonaws.com"), ""},
		{"another", token("reach-team", "https://evil.jfrog.io"), "audience"},
		{"a ServiceAccount of an excluded namespace", token("reach-vault", "sts.amazonaws.com"), "excluded namespace"},
		{"a ServiceAccount of the controller's namespace, although it is excluded", token("reach", "sts.amazonaws.com"), ""},
		{"a ServiceAccount of a namespace that is excluded by default", token("kube-public", "sts.amazonaws.com"), ""},
		{"a Secret of a name that is served", publish("reach-team", "regcred"), ""},
		{"a Secret of another name", publish("reach-team", "another"), "--secret-names"},
		{"a Secret in an excluded namespace", publish("reach-vault", "regcred"), "excluded namespace"},
	} {
		if c.refusal == "" && c.err != nil || c.refusal != "" && !denied(c.err, c.refusal) {
			t.Errorf("%s: %v, want a refusal of %q", c.what, c.err, c.refusal)
		}
	}
}

func denied(err error, word string) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && apierrors.IsForbidden(err) && strings.Contains(status.Error(), "ValidatingAdmissionPolicy 'regcred-reach-") && strings.Contains(status.Error(), word)
}
