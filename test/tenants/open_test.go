//go:build open

package tenants

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
		abuse{name: "an identity that changes 1,000 times", forgets: true, storm: true, do: func(u *tenant) {
			u.identity("churn", map[string]string{"username": "case-bot", "password": "p"})
			u.create(u.credential("churned", static("quay.io", "churn")))
			for i := range 1000 {
				u.patch(u.target("churn"), fmt.Sprintf(`{"stringData":{"password":"p%d"}}`, i))
			}
		}, says: func(u *tenant) {
			u.eventually("the last password", func() bool {
				s := u.target("churned")
				return u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s) == nil &&
					bytes.Contains(s.Data[corev1.DockerConfigJsonKey], []byte(base64.StdEncoding.EncodeToString([]byte("case-bot:p999"))))
			})
		}},
		abuse{name: "40 identities of 480 KiB", forgets: true, writes: 100, do: func(u *tenant) {
			u.inParallel(40, func(i int) error {
				name := fmt.Sprintf("fat-%d", i)
				s := u.fatSecret(name, 480<<10)
				if err := u.edit.Create(u.Context(), s); err != nil {
					return err
				}
				c := u.credential(fmt.Sprintf("images-%d", i), v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef(name)})
				c.Spec.ServiceAccounts = nil
				return u.edit.Create(u.Context(), c)
			})
		}},
		abuse{name: "200 KiB of annotations on an identity Secret", forgets: true, do: func(u *tenant) {
			u.inParallel(60, func(i int) error {
				s := u.target(fmt.Sprintf("fat-%d", i))
				s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
				s.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), s)
			})
		}},
		abuse{name: "200 KiB of annotations on each of 50 credentials", forgets: true, storm: true, do: func(u *tenant) {
			u.inParallel(50, func(i int) error {
				c := u.credential(fmt.Sprintf("fat-%d", i), ecr(secretRef("nobody")))
				c.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), c)
			})
		}},
	)
	callAbuses = append(callAbuses,
		abuse{name: "4,800 entries that fail", storm: true, costs: 4800 * 5 << 10, forgets: true, do: func(u *tenant) {
			u.keyed("key")
			u.manyCredentials(300, 16, func(i int) v1alpha1.Registry { return regional(i, secretRef("key"), fmt.Sprintf("external-%d", i)) })
		}, says: func(u *tenant) {
			u.ready("many-0", v1alpha1.ReasonAccessDenied, v1alpha1.ReasonProgressing, v1alpha1.ReasonDuplicateHost)
		}},
		abuse{name: "64 trials at a registry that does not answer", storm: true, do: func(u *tenant) {
			u.identity("pat", map[string]string{"username": "me", "password": "mine"})
			u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
				entry := static(tarpit, "pat")
				entry.Verify = &v1alpha1.Verify{Repository: "team/app"}
				return entry
			})
		}},
		abuse{name: "16 entries with 64 hosts each, in 20 credentials", costs: 20 << 20, forgets: true, storm: true, do: func(u *tenant) {
			u.keyed("key")
			u.manyCredentials(20, 16, func(i int) v1alpha1.Registry {
				entry := ecr(secretRef("key"))
				entry.Name, entry.ECR.Accounts = fmt.Sprintf("entry-%d", i), nil
				for n := range 64 {
					entry.ECR.Accounts = append(entry.ECR.Accounts, fmt.Sprintf("%012d", i*64+n))
				}
				return entry
			})
		}},
	)
	linkAbuses = append(linkAbuses,
		abuse{name: "a link that is taken off 100 times", storm: true, do: func(u *tenant) {
			for range 100 {
				u.patch(u.account("default"), `{"imagePullSecrets":null}`)
			}
		}, says: func(u *tenant) {
			if n := linkWrites(u); n > 30 {
				u.Errorf("the link was written %d times", n)
			}
		}},
		abuse{name: "1,000 records of links of its own kind", writes: 10, do: recordLinks("RegistryCredential", 1000)},
		abuse{name: "1,000 records of links of the cluster's kind", writes: 10, do: recordLinks("ClusterRegistryCredential", 1000)},
		abuse{name: "1,000 records of links to the cluster's credential", writes: 10, do: recordLinks("ClusterRegistryCredential/platform", 1000)},
	)
}
