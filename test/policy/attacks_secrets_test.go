package policy

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const secrets = "regcred-secrets"

// creating tries to create a pull Secret that is not as the controller makes it.
func creating(change func(*corev1.Secret)) func(*testing.T, string) error {
	return func(t *testing.T, ns string) error {
		t.Helper()
		s := pullSecret(ns, "regcred")
		change(s)
		err := thief.Create(t.Context(), s)
		if err == nil && s.Namespace != ns { // in a namespace that outlives the test
			must(t, admin.Delete(context.WithoutCancel(t.Context()), s))
		}
		return err
	}
}

// victim is a Secret of somebody else, or ours in some other state.
func victim(change func(*corev1.Secret)) func(*testing.T, string) {
	return func(t *testing.T, ns string) {
		t.Helper()
		s := pullSecret(ns, "regcred")
		change(s)
		must(t, admin.Create(t.Context(), s))
	}
}

func changing(change func(*corev1.Secret)) func(*testing.T, string) error {
	return func(t *testing.T, ns string) error {
		t.Helper()
		s := &corev1.Secret{}
		must(t, admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "regcred"}, s))
		change(s)
		return thief.Update(t.Context(), s)
	}
}

func deleting(t *testing.T, ns string) error {
	t.Helper()
	return thief.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "regcred"}})
}

func untouched(*corev1.Secret) {}

func opaque(s *corev1.Secret) {
	s.Type, s.Data = corev1.SecretTypeOpaque, map[string][]byte{"password": []byte("theirs")}
	s.Labels, s.OwnerReferences = nil, nil
}

func foreign(s *corev1.Secret) { s.Labels, s.OwnerReferences = nil, nil }

func owner(kind, apiVersion string) func(*corev1.Secret) {
	return func(s *corev1.Secret) {
		s.OwnerReferences[0].Kind, s.OwnerReferences[0].APIVersion = kind, apiVersion
	}
}

var secretAttacks = []attack{
	{"create a token of any ServiceAccount, to read it", secrets,
		func(t *testing.T, ns string) { t.Helper(); must(t, admin.Create(t.Context(), account(ns, "admin"))) },
		creating(func(s *corev1.Secret) {
			s.Type, s.Data = corev1.SecretTypeServiceAccountToken, nil
			s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "admin"}
		})},
	{"create a bootstrap token", secrets, nil, creating(func(s *corev1.Secret) {
		s.Namespace, s.Name, s.Type = "kube-system", "bootstrap-token-abcdef", "bootstrap.kubernetes.io/token"
		s.OwnerReferences[0].Name = s.Name
		s.Data = map[string][]byte{"token-id": []byte("abcdef"), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-authentication": []byte("true")}
	})},
	{"create a Secret that an application reads", secrets, nil, creating(opaque)},
	{"create a pull Secret without our label", secrets, nil, creating(func(s *corev1.Secret) { s.Labels = nil })},
	{"create a pull Secret with another label of ours", secrets, nil, creating(func(s *corev1.Secret) { s.Labels[v1alpha1.LabelSecret] = v1alpha1.LabelSecretIdentity })},
	{"create a pull Secret without owner", secrets, nil, creating(func(s *corev1.Secret) { s.OwnerReferences = nil })},
	{"create a pull Secret whose owner does not control it", secrets, nil, creating(func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil })},
	{"create a pull Secret of a Deployment", secrets, nil, creating(owner("Deployment", "apps/v1"))},
	{"create a pull Secret of a kind of another group", secrets, nil, creating(owner("RegistryCredential", "evil.dev/v1alpha1"))},
	{"create a pull Secret of another name than its credential", secrets, nil, creating(func(s *corev1.Secret) { s.Name = "another" })},
	{"create a pull Secret with a finalizer, so that its namespace never ends", secrets, nil, creating(func(s *corev1.Secret) { s.Finalizers = []string{"evil.dev/never"} })},
	{"create a pull Secret that nobody can change", secrets, nil, creating(func(s *corev1.Secret) { s.Immutable = new(true) })},
	{"create a pull Secret with another key", secrets, nil, creating(func(s *corev1.Secret) { s.Data["ca.crt"] = []byte("evil") })},
	{"create a pull Secret in kube-system", secrets, nil, creating(func(s *corev1.Secret) { s.Namespace = "kube-system" })},

	{"overwrite an application's password", secrets, victim(opaque), changing(func(s *corev1.Secret) { s.Data["password"] = []byte("ours") })},
	{"overwrite a foreign pull Secret", secrets, victim(foreign), changing(func(s *corev1.Secret) { s.Data = pullSecret("", "").Data })},
	{"claim a foreign pull Secret", secrets, victim(foreign), changing(func(s *corev1.Secret) {
		good := pullSecret("", "regcred")
		s.Labels, s.OwnerReferences = good.Labels, good.OwnerReferences
	})},
	{"claim a foreign pull Secret, and consent on behalf of its owner", secrets, victim(foreign), changing(func(s *corev1.Secret) {
		good := pullSecret("", "regcred")
		s.Labels, s.OwnerReferences, s.Annotations = good.Labels, good.OwnerReferences, map[string]string{v1alpha1.AnnotationAdopt: "true"}
	})},
	{"overwrite the pull Secret of a Deployment that carries our label", secrets, victim(owner("Deployment", "apps/v1")), changing(func(s *corev1.Secret) {
		s.OwnerReferences = pullSecret("", "regcred").OwnerReferences
	})},
	{"let a pull Secret go", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.OwnerReferences = nil })},
	{"hide a pull Secret from the controller", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Labels = nil })},
	{"put a pull Secret on ice", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Immutable = new(true) })},
	{"add a finalizer to a pull Secret", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Finalizers = []string{"evil.dev/never"} })},
	{"delete an application's Secret", secrets, victim(opaque), deleting},
	{"delete a Secret of another type that is dressed up as ours", secrets, victim(func(s *corev1.Secret) {
		s.Type, s.Data = corev1.SecretTypeOpaque, map[string][]byte{"password": []byte("theirs")}
	}), deleting},
	{"delete a foreign pull Secret", secrets, victim(foreign), deleting},
	{"delete the pull Secret of a Deployment", secrets, victim(owner("Deployment", "apps/v1")), deleting},
}
