// Package policy proves on a real API server what the admission policies of config/policy stop, and what they let pass.
package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/controlplane"
)

const (
	root = "../.."
	home = "regcred-system"
	// patience bounds how long the API server may take to notice a policy; nothing waits for it to pass.
	patience = 30 * time.Second
)

var (
	cluster *controlplane.ControlPlane
	// admin may do everything; thief has the controller's token, with exactly its RBAC rules.
	admin, thief client.Client
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(controlplane.RunTests(m, controlplane.Options{CRDDirectories: []string{root + "/config/crd"}}, func(started *controlplane.ControlPlane) {
		cluster = started
		if err := prepare(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}))
}

func prepare(ctx context.Context) (err error) {
	for _, dir := range []string{"config/rbac", "config/roles"} {
		if _, err := cluster.Kubectl(ctx, "apply", "-k", filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	if admin, err = newClient(cluster.Config); err != nil {
		return err
	}
	user := "system:serviceaccount:" + home + ":regcred"
	cfg, _, err := cluster.AddUser(user, []string{"system:serviceaccounts", "system:serviceaccounts:" + home, "system:authenticated"})
	if err != nil {
		return err
	}
	thief, err = newClient(cfg)
	return err
}

func newClient(cfg *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return client.WithFieldOwner(c, v1alpha1.FieldManager), nil
}

// userClient is somebody with no rights but those that the test gives to the name.
func userClient(t *testing.T, name string) client.Client {
	t.Helper()
	cfg, _, err := cluster.AddUser(name, []string{"system:authenticated"})
	must(t, err)
	c, err := newClient(cfg)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// namespace creates one of the test's own.
func namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "policy-"}}
	must(t, admin.Create(t.Context(), ns))
	return ns.Name
}

// withPolicies applies the policies of config/policy, or removes them, and waits until the API server has noticed.
func withPolicies(t *testing.T, on bool) {
	t.Helper()
	verb := []string{"delete", "--ignore-not-found"}
	if on {
		verb = []string{"apply"}
	}
	_, err := cluster.Kubectl(t.Context(), append(verb, "-k", filepath.Join(root, "config", "policy"))...)
	must(t, err)
	ns := namespace(t)
	must(t, admin.Create(t.Context(), account(ns, "probe")))
	probes := map[string]func() error{
		"regcred-secrets": func() error {
			return thief.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "probe"}}, client.DryRunAll)
		},
		"regcred-service-accounts": func() error {
			return thief.Patch(t.Context(), account(ns, "probe"), client.RawPatch("application/merge-patch+json", []byte(`{"automountServiceAccountToken":true}`)), client.DryRunAll)
		},
		"regcred-tokens": func() error {
			return thief.SubResource("token").Create(t.Context(), account(ns, "probe"), token("probe"))
		},
		"regcred-evictions": func() error {
			return thief.SubResource("eviction").Create(t.Context(), pod(t, ns), &policyv1.Eviction{DeleteOptions: &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}})
		},
		"regcred-ambient-identity": func() error {
			return nobody(t).Create(t.Context(), ambient(ns, "probe"), client.DryRunAll)
		},
	}
	for policy, probe := range probes {
		await(t, fmt.Sprintf("%s: enforced %t", policy, on), func() bool {
			err := probe()
			return on && denies(policy, err) || !on && err == nil
		})
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain for %s", what)
	}
}

// denies says whether the error is the refusal of the policy.
func denies(policy string, err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'")
}

func account(ns, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
}

func token(audiences ...string) *authenticationv1.TokenRequest {
	return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
}

// pullSecret is a Secret as the controller writes it.
func pullSecret(ns, name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: name,
			Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindClusterRegistryCredential,
				Name: name, UID: "b6b2b1a5-7d1f-4a55-8e5e-3d0f7a6f0001", Controller: new(true),
			}},
		},
		Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.example":{"auth":"YTpi"}}}`)},
	}
}
