package tenants

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/lab"
)

// A cluster-wide credential selects the controller's own namespace, and is called what its source is called. There the two meet: the source
// is never written, not even when its owner consents, and everybody else is served.
func TestACredentialIsNeverItsOwnSource(t *testing.T) {
	const name = "docker-hub"
	home := &tenant{T: t, ns: lab.Namespace, edit: world.Client, admin: world.Client}
	s := home.target(name)
	s.Type, s.Labels = corev1.SecretTypeDockerConfigJson, map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
	s.StringData = map[string]string{corev1.DockerConfigJsonKey: login("https://index.docker.io/v1/", "case-bot:case-password")}
	home.create(s)
	end := func(o client.Object) {
		t.Cleanup(func() { home.must(client.IgnoreNotFound(world.Client.Delete(context.WithoutCancel(t.Context()), o))) })
	}
	end(home.target(name))
	other := newTenant(t, "hub-user", map[string]string{"hub": "yes"})
	t.Cleanup(other.leave)
	home.must(world.Client.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: lab.Namespace}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"hub":"yes"}}}`))))
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"hub": "yes"}
	c.Spec.Registries = []v1alpha1.Registry{static("docker.io", name)}
	home.create(c)
	end(c)

	for _, consent := range []bool{false, true} {
		if consent {
			home.annotate(home.target(name), map[string]string{v1alpha1.AnnotationAdopt: "true"})
		}
		before := home.version(name)
		other.eventually("its Secret", func() bool { return world.Client.Get(t.Context(), other.key(name), &corev1.Secret{}) == nil })
		// What the controller does about the annotation, it does within a window in which nothing is to happen.
		waitFor(t, 2*quiet)
		if after := home.version(name); after != before {
			t.Errorf("with the owner's consent %t, the source was written: %s became %s", consent, before, after)
		}
	}
}

func (u *tenant) version(secret string) string {
	u.Helper()
	s := u.target(secret)
	u.must(world.Client.Get(u.Context(), client.ObjectKeyFromObject(s), s))
	return s.ResourceVersion
}
