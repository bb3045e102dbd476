package tenants

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// manyOwn is how many credentials a tenant has that are looked through for each of its Secrets.
const manyOwn = 1000

// eventAbuses are what a tenant can do where the events of all namespaces pass.
var eventAbuses = []abuse{
	{name: "1,000 credentials, and an identity Secret that changes 2,000 times", storm: true, costs: manyOwn * 4 << 10, do: func(u *tenant) {
		u.manySuspended()
		u.identity("restless", map[string]string{"username": "me", "password": "mine"})
		u.inParallel(2000, func(i int) error {
			return u.edit.Patch(u.Context(), u.target("restless"), client.RawPatch("application/merge-patch+json",
				fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/synced-at":"%d"}}}`, i)))
		})
	}},
	{name: "1,000 credentials, and 1,000 labelled Secrets that are deleted at once", storm: true, costs: manyOwn * 4 << 10, do: func(u *tenant) {
		u.manySuspended()
		u.inParallel(1000, func(i int) error {
			s := u.target(fmt.Sprintf("labelled-%d", i))
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
			return u.edit.Create(u.Context(), s)
		})
		u.must(u.edit.DeleteAllOf(u.Context(), &corev1.Secret{}, client.InNamespace(u.ns), client.MatchingLabels{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}))
	}},
}

// manySuspended are credentials for which nothing is done but to look at them.
func (u *tenant) manySuspended() {
	u.Helper()
	u.inParallel(manyOwn, func(i int) error {
		c := u.credential(fmt.Sprintf("many-%d", i), static("quay.io", "restless"))
		c.Spec.Suspend, c.Spec.ServiceAccounts = true, nil
		return u.edit.Create(u.Context(), c)
	})
}
