package policy

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	accounts = "regcred-service-accounts"
	tokens   = "regcred-tokens"
)

// puller is a ServiceAccount with two links, of which the second is recorded as ours.
func puller(t *testing.T, ns string) {
	t.Helper()
	sa := account(ns, "puller")
	sa.Annotations = map[string]string{"link.regcred.dev/ours": "ClusterRegistryCredential", "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/puller"}
	sa.Labels = map[string]string{"team": "a"}
	sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}, {Name: "ours"}}
	must(t, admin.Create(t.Context(), sa))
}

func patching(merge string) func(*testing.T, string) error {
	return func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Patch(t.Context(), account(ns, "puller"), client.RawPatch("application/merge-patch+json", []byte(merge)))
	}
}

var accountAttacks = []attack{
	{"take another role in AWS", accounts, puller, patching(`{"metadata":{"annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::123456789012:role/admin"}}}`)},
	{"give a role in Google Cloud", accounts, puller, patching(`{"metadata":{"annotations":{"iam.gke.io/gcp-service-account":"admin@project.iam.gserviceaccount.com"}}}`)},
	{"take a role away", accounts, puller, patching(`{"metadata":{"annotations":{"eks.amazonaws.com/role-arn":null}}}`)},
	{"change labels that others select by", accounts, puller, patching(`{"metadata":{"labels":{"team":"b"}}}`)},
	{"add a finalizer to a ServiceAccount", accounts, puller, patching(`{"metadata":{"finalizers":["evil.dev/never"]}}`)},
	{"let the garbage collector delete a ServiceAccount", accounts, puller,
		patching(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"b6b2b1a5-7d1f-4a55-8e5e-3d0f7a6f0002"}]}}`)},
	{"let pods mount another Secret", accounts, puller, patching(`{"secrets":[{"name":"password"}]}`)},
	{"mount a token into every pod", accounts, puller, patching(`{"automountServiceAccountToken":true}`)},
	{"remove somebody else's link", accounts, puller, patching(`{"imagePullSecrets":[{"name":"ours"}]}`)},
	{"remove all links", accounts, puller, patching(`{"imagePullSecrets":null}`)},
	{"reorder links", accounts, puller, patching(`{"imagePullSecrets":[{"name":"ours"},{"name":"theirs"}]}`)},
	{"link without a record", accounts, puller, patching(`{"imagePullSecrets":[{"name":"theirs"},{"name":"ours"},{"name":"more"}]}`)},
	{"record somebody else's link, to remove it later", accounts, puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/theirs":"ClusterRegistryCredential"}}}`)},
	{"record a link that is not there", accounts, puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"ClusterRegistryCredential"}}}`)},
	{"forget a link, so that it stays for ever", accounts, puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":null}}}`)},
	{"link with a record of another kind", accounts, puller,
		patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"Deployment/evil"}},"imagePullSecrets":[{"name":"theirs"},{"name":"ours"},{"name":"more"}]}`)},
	{"make a record of somebody's note, to remove the link later", accounts, func(t *testing.T, ns string) {
		t.Helper()
		sa := account(ns, "puller")
		sa.Annotations = map[string]string{"link.regcred.dev/theirs": "note"}
		sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}}
		must(t, admin.Create(t.Context(), sa))
	}, patching(`{"metadata":{"annotations":{"link.regcred.dev/theirs":"RegistryCredential"}}}`)},
	{"make a record unreadable, so that the link stays for ever", accounts, puller, patching(`{"metadata":{"annotations":{"link.regcred.dev/ours":"nobody"}}}`)},
	{"link a ServiceAccount that is to be left alone", accounts, leftAlone,
		patching(`{"metadata":{"annotations":{"link.regcred.dev/more":"RegistryCredential"}},"imagePullSecrets":[{"name":"ours"},{"name":"more"}]}`)},
	{"link a ServiceAccount in kube-system", accounts, nil, func(t *testing.T, _ string) error {
		t.Helper()
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", GenerateName: "puller-"}}
		must(t, admin.Create(t.Context(), sa))
		return thief.Patch(t.Context(), sa, client.RawPatch("application/merge-patch+json",
			[]byte(`{"metadata":{"annotations":{"link.regcred.dev/more":"ClusterRegistryCredential"}},"imagePullSecrets":[{"name":"more"}]}`)))
	}},
}

// asking tries to get a token of a ServiceAccount that has other rights than the controller.
func asking(change func(*authenticationv1.TokenRequestSpec)) func(*testing.T, string) error {
	return func(t *testing.T, ns string) error {
		t.Helper()
		req := token("sts.amazonaws.com")
		change(&req.Spec)
		return thief.SubResource("token").Create(t.Context(), account(ns, "puller"), req)
	}
}

func audience(audiences ...string) func(*authenticationv1.TokenRequestSpec) {
	return func(s *authenticationv1.TokenRequestSpec) { s.Audiences = audiences }
}

var tokenAttacks = []attack{
	{"act as another ServiceAccount", tokens, puller, asking(audience())},
	{"act as another ServiceAccount by name of the API server", tokens, puller, asking(audience("https://kubernetes.default.svc.cluster.local"))},
	{"act as another ServiceAccount and in AWS", tokens, puller, asking(audience("sts.amazonaws.com", "https://kubernetes.default.svc.cluster.local"))},
	{"act in AWS and in Azure at once", tokens, puller, asking(audience("sts.amazonaws.com", "api://AzureADTokenExchange"))},
	{"log in to Vault as another ServiceAccount", tokens, puller, asking(audience("vault"))},
	{"ask for an audience that begins like AWS", tokens, puller, asking(audience("sts.amazonaws.com.evil.example"))},
	{"ask for an audience that ends like GKE", tokens, puller, asking(audience("https://evil.example/my-project.svc.id.goog"))},
	{"ask for an audience that holds Google's", tokens, puller,
		asking(audience("https://evil.example/?//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster"))},
	{"ask for the API server of GKE", tokens, puller, asking(audience("https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"))},
	{"ask for a token for a day", tokens, puller, asking(func(s *authenticationv1.TokenRequestSpec) { s.ExpirationSeconds = new(int64(86400)) })},
	{"ask for a token that seems a pod's", tokens, func(t *testing.T, ns string) {
		t.Helper()
		puller(t, ns)
		must(t, admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bound"}}))
	}, asking(func(s *authenticationv1.TokenRequestSpec) {
		s.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: "bound"}
	})},
	{"act in AWS as a ServiceAccount of kube-system", tokens, nil, func(t *testing.T, _ string) error {
		t.Helper()
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", GenerateName: "driver-"}}
		must(t, admin.Create(t.Context(), sa))
		return thief.SubResource("token").Create(t.Context(), sa, token("sts.amazonaws.com"))
	}},
}

// pod is one of somebody else.
func pod(t *testing.T, ns string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "theirs-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "theirs", Image: "theirs"}}},
	}
	must(t, admin.Create(t.Context(), p))
	return p
}

// evicting tries to evict a pod; change makes the request another than the controller's.
func evicting(in string, change func(*metav1.DeleteOptions)) func(*testing.T, string) error {
	return func(t *testing.T, ns string) error {
		t.Helper()
		if in != "" {
			ns = in
		}
		p := pod(t, ns)
		options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}
		change(options)
		return thief.SubResource("eviction").Create(t.Context(), p, &policyv1.Eviction{DeleteOptions: options})
	}
}

const evictions = "regcred-evictions"

var evictionAttacks = []attack{
	{"evict a pod of kube-system", evictions, nil, evicting("kube-system", func(*metav1.DeleteOptions) {})},
	{"evict pods by name alone", evictions, nil, evicting("", func(o *metav1.DeleteOptions) { o.Preconditions = nil })},
	{"end a pod without giving it time", evictions, nil, evicting("", func(o *metav1.DeleteOptions) { o.GracePeriodSeconds = new(int64(0)) })},
}

var attacksBeyondRBAC = []attack{
	{"become an administrator", "", nil, func(t *testing.T, _ string) error {
		t.Helper()
		return thief.Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "evil"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: home, Name: "regcred"}},
		})
	}},
	{"create a ServiceAccount", "", nil, func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Create(t.Context(), account(ns, "evil"))
	}},
	{"delete a ServiceAccount", "", puller, func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Delete(t.Context(), account(ns, "puller"))
	}},
	{"run a pod", "", nil, func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "evil"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "evil", Image: "evil"}}},
		})
	}},
	{"create a credential with the controller's own identity", "", nil, func(t *testing.T, ns string) error {
		t.Helper()
		return thief.Create(t.Context(), ambient(ns, "evil"))
	}},
	{"switch the policies off", "", nil, func(t *testing.T, _ string) error {
		t.Helper()
		_, err := cluster.Kubectl(t.Context(), "auth", "can-i", "delete", "validatingadmissionpolicybindings.admissionregistration.k8s.io",
			"--as=system:serviceaccount:"+home+":regcred", "--quiet")
		if err != nil {
			return forbidden()
		}
		return nil
	}},
}
