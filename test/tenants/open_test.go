//go:build open

package tenants

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// What is not withstood yet: go test -tags open ./test/tenants.
func init() {
	ownershipAbuses = append(ownershipAbuses,
		abuse{name: "200 Secrets that look like targets, with 200 KiB of annotations each", forgets: true, writes: 250, do: func(u *tenant) {
			u.inParallel(200, func(i int) error {
				s := &corev1.Secret{ObjectMeta: u.object(fmt.Sprintf("fat-%d", i)), Type: corev1.SecretTypeDockerConfigJson,
					StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
				s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
				s.Annotations = map[string]string{"fat": strings.Repeat("x", 150<<10), registries: strings.Repeat("[", 50<<10)}
				return u.edit.Create(u.Context(), s)
			})
		}},
	)
	identityAbuses = append(identityAbuses,
		abuse{name: "200 KiB of annotations on an identity Secret", forgets: true, do: func(u *tenant) {
			u.inParallel(60, func(i int) error {
				s := u.target(fmt.Sprintf("fat-%d", i))
				s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
				s.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), s)
			})
		}},
	)
}
