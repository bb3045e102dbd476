package tenants

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// identityAbuses are what a tenant can do with Secrets and ServiceAccounts that stand for somebody.
var identityAbuses = []abuse{}

// fatSecret is a docker config with a password of this size.
func (u *tenant) fatSecret(name string, size int) *corev1.Secret {
	s := u.target(name)
	s.StringData = map[string]string{corev1.DockerConfigJsonKey: login("quay.io", "me:"+strings.Repeat("x", size*3/4))}
	s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
	return s
}

func (u *tenant) fatIdentity(name string, size int) {
	u.Helper()
	u.create(u.fatSecret(name, size))
}
