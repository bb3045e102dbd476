package policy

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{}, "", nil)
}

// own is a RegistryCredential with an identity.
func own(ns, name string) *v1alpha1.RegistryCredential {
	c := ambient(ns, name)
	c.Spec.Registries[0].Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}
	return c
}

// ambient is one without.
func ambient(ns, name string) *v1alpha1.RegistryCredential {
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	return c
}

// bind gives a user a ClusterRole, in one namespace or, without one, in all.
func bind(t *testing.T, user, role, ns string) {
	t.Helper()
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	meta := metav1.ObjectMeta{Name: user + "-" + role, Namespace: ns}
	if ns == "" {
		must(t, client.IgnoreAlreadyExists(admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})))
		return
	}
	must(t, client.IgnoreAlreadyExists(admin.Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects})))
}

// nobody may edit RegistryCredentials, and no more.
func nobody(t *testing.T) client.Client {
	t.Helper()
	bind(t, "nobody", "regcred-edit", "")
	return userClient(t, "nobody")
}

func TestAUserWithoutTheVerbIsToldSo(t *testing.T) {
	withPolicies(t, true)
	ns := namespace(t)
	user := nobody(t)
	err := user.Create(t.Context(), ambient(ns, "ours"))
	if !denies("regcred-ambient-identity", err) {
		t.Fatalf("not refused: %v", err)
	}
	for _, word := range []string{"nobody", "verb use", "identities.regcred.dev/ambient", "namespace " + ns, "prod", "regcred-ambient-identity-user"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message does not speak of %s: %v", word, err)
		}
	}
	// With an identity, everybody may who may create one at all.
	c := own(ns, "ours")
	must(t, user.Create(t.Context(), c))
	c.Spec.Registries[0].Identity = nil
	if err := user.Update(t.Context(), c); !denies("regcred-ambient-identity", err) {
		t.Errorf("an update that drops the identity is not refused: %v", err)
	}
	c.Spec = own(ns, "ours").Spec
	c.Spec.Registries = append(c.Spec.Registries, v1alpha1.Registry{Name: "stage", ECR: &v1alpha1.ECR{Region: "eu-west-1"}})
	if err := user.Update(t.Context(), c); !denies("regcred-ambient-identity", err) {
		t.Errorf("an update that adds an entry without identity is not refused: %v", err)
	}
}

func TestThoseWhoWereGrantedTheVerbPass(t *testing.T) {
	withPolicies(t, true)
	here, there := namespace(t), namespace(t)
	for user, role := range map[string]string{"granted-here": here, "granted-everywhere": ""} {
		bind(t, user, "regcred-edit", "")
		bind(t, user, "regcred-ambient-identity-user", role)
		c := userClient(t, user)
		if err := c.Create(t.Context(), ambient(here, user)); err != nil {
			t.Errorf("%s is refused: %v", user, err)
		}
		if err := c.Create(t.Context(), ambient(there, user)); denies("regcred-ambient-identity", err) != (role != "") {
			t.Errorf("%s in another namespace: %v", user, err)
		}
	}
	if err := admin.Create(t.Context(), ambient(there, "administrator")); err != nil {
		t.Errorf("an administrator is refused: %v", err)
	}
}

func TestWhatWasAdmittedCanBeAnnotatedByOthers(t *testing.T) {
	withPolicies(t, true)
	ns := namespace(t)
	c := ambient(ns, "ours")
	must(t, admin.Create(t.Context(), c))
	user := nobody(t)
	c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now"}
	if err := user.Update(t.Context(), c); err != nil {
		t.Errorf("an annotation is refused: %v", err)
	}
	c.Spec.Registries[0].ECR.Region = "eu-central-1"
	if err := user.Update(t.Context(), c); !denies("regcred-ambient-identity", err) {
		t.Errorf("another use of the controller's identity is not refused: %v", err)
	}
}
