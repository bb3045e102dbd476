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

// all makes several changes, one after the other.
func all(changes ...func(*corev1.Secret)) func(*corev1.Secret) {
	return func(s *corev1.Secret) {
		for _, change := range changes {
			change(s)
		}
	}
}

// keeper is the credential that keeps a Secret without owning it.
const keeper = v1alpha1.KindClusterRegistryCredential + "/registry-pull"

func annotated(key, value string) func(*corev1.Secret) {
	return func(s *corev1.Secret) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[key] = value
	}
}

func kept(by string) func(*corev1.Secret) {
	return all(annotated(v1alpha1.AnnotationKeptBy, by), func(s *corev1.Secret) { s.OwnerReferences = nil })
}

func owned(s *corev1.Secret) {
	s.OwnerReferences = pullSecret("", "regcred").OwnerReferences
	delete(s.Annotations, v1alpha1.AnnotationKeptBy)
}

func labelled(s *corev1.Secret)   { s.Labels = pullSecret("", "").Labels }
func handedOver(s *corev1.Secret) { annotated(v1alpha1.AnnotationAdopt, "true")(s) }
func retained(s *corev1.Secret)   { annotated(v1alpha1.AnnotationRetain, "true")(s) }

// theirs adds what an owner may have on a Secret.
func theirs(s *corev1.Secret) {
	annotated("note", "theirs")(s)
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels["team"] = "a"
}

func ownedByNobody(s *corev1.Secret) {
	s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "b6b2b1a5-7d1f-4a55-8e5e-3d0f7a6f0002"}}
}

// givenBack takes off what we had put on.
func givenBack(s *corev1.Secret) {
	delete(s.Labels, v1alpha1.LabelSecret)
	delete(s.Annotations, v1alpha1.AnnotationKeptBy)
	delete(s.Annotations, record)
}

// record is the annotation with what we know of the tokens.
const record = "regcred.dev/registries"

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
	{"create a pull Secret that is kept for another kind", secrets, nil, creating(kept("Deployment/theirs"))},
	{"create a pull Secret that is kept for nobody", secrets, nil, creating(kept(""))},
	{"create a pull Secret that is kept, without our label", secrets, nil, creating(all(kept(keeper), func(s *corev1.Secret) { s.Labels = nil }))},
	{"create a pull Secret that is kept, with another label of ours", secrets, nil, creating(all(kept(keeper), func(s *corev1.Secret) {
		s.Labels[v1alpha1.LabelSecret] = v1alpha1.LabelSecretIdentity
	}))},
	{"create a pull Secret that seems to have been handed over", secrets, nil, creating(all(kept(keeper), handedOver))},
	{"create a pull Secret that the garbage collector deletes", secrets, nil, creating(all(kept(keeper), ownedByNobody))},
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
	{"keep a foreign pull Secret", secrets, victim(foreign), changing(all(labelled, kept(keeper)))},
	{"keep a foreign pull Secret, and consent on behalf of its owner", secrets, victim(foreign), changing(all(labelled, kept(keeper), handedOver))},
	{"keep the pull Secret of a Deployment that carries our label", secrets, victim(owner("Deployment", "apps/v1")), changing(kept(keeper))},
	{"keep the pull Secret of a Deployment that was handed over", secrets, victim(all(owner("Deployment", "apps/v1"), handedOver)), changing(kept(keeper))},
	{"own a Secret that was handed over, so that it is deleted with a credential", secrets, victim(all(foreign, handedOver)), changing(all(labelled, owned))},
	{"own a Secret that is kept for its owner", secrets, victim(all(kept(keeper), handedOver)), changing(owned)},
	{"own a Secret that is kept for its owner, and forget whose it was", secrets, victim(all(kept(keeper), handedOver)), changing(all(owned, func(s *corev1.Secret) {
		s.Annotations = nil
	}))},
	{"forget that a Secret was handed over, to delete it then", secrets, victim(all(kept(keeper), handedOver)), changing(func(s *corev1.Secret) {
		delete(s.Annotations, v1alpha1.AnnotationAdopt)
	})},
	{"let the garbage collector delete what was handed over", secrets, victim(all(kept(keeper), handedOver)), changing(ownedByNobody)},
	{"give back another content", secrets, victim(all(kept(keeper), handedOver)), changing(all(givenBack, func(s *corev1.Secret) {
		s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{}}`)
	}))},
	{"give back, and take a label of the owner's", secrets, victim(all(kept(keeper), handedOver, theirs)), changing(all(givenBack, func(s *corev1.Secret) {
		delete(s.Labels, "team")
	}))},
	{"give back, and change a label of the owner's", secrets, victim(all(kept(keeper), handedOver, theirs)), changing(all(givenBack, func(s *corev1.Secret) {
		s.Labels["team"] = "b"
	}))},
	{"give back, and take an annotation of the owner's", secrets, victim(all(kept(keeper), handedOver, theirs)), changing(all(givenBack, func(s *corev1.Secret) {
		delete(s.Annotations, "note")
	}))},
	{"give back, and add a label", secrets, victim(all(kept(keeper), handedOver)), changing(all(givenBack, theirs))},
	{"give back, and let the garbage collector delete it", secrets, victim(all(kept(keeper), handedOver)), changing(all(givenBack, ownedByNobody))},
	{"give back half", secrets, victim(all(kept(keeper), handedOver)), changing(func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationKeptBy) })},
	{"give back what was not kept", secrets, victim(func(s *corev1.Secret) { s.OwnerReferences = nil }), changing(givenBack)},
	{"take an annotation from a foreign pull Secret", secrets, victim(all(foreign, theirs)), changing(func(s *corev1.Secret) { s.Annotations = nil })},
	{"let a pull Secret go", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.OwnerReferences = nil })},
	{"hide a pull Secret from the controller", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Labels = nil })},
	{"put a pull Secret on ice", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Immutable = new(true) })},
	{"add a finalizer to a pull Secret", secrets, victim(untouched), changing(func(s *corev1.Secret) { s.Finalizers = []string{"evil.dev/never"} })},
	{"delete an application's Secret", secrets, victim(opaque), deleting},
	{"delete a Secret of another type that is dressed up as ours", secrets, victim(func(s *corev1.Secret) {
		s.Type, s.Data = corev1.SecretTypeOpaque, map[string][]byte{"password": []byte("theirs")}
	}), deleting},
	{"delete a foreign pull Secret", secrets, victim(foreign), deleting},
	{"delete a pull Secret without owner that carries our label", secrets, victim(func(s *corev1.Secret) { s.OwnerReferences = nil }), deleting},
	{"delete a Secret that was handed over", secrets, victim(all(kept(keeper), handedOver)), deleting},
	{"delete a Secret that outlives its credential", secrets, victim(all(kept(keeper), retained)), deleting},
	{"delete a Secret that is kept for another kind", secrets, victim(kept("Deployment/theirs")), deleting},
	{"delete a kept Secret that has lost our label", secrets, victim(all(kept(keeper), func(s *corev1.Secret) { s.Labels = nil })), deleting},
	{"delete the pull Secret of a Deployment", secrets, victim(owner("Deployment", "apps/v1")), deleting},
}
