package tenants

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// callAbuses are what a tenant can do to what all share: the way to a cloud.
var callAbuses = []abuse{}

// manyCredentials creates n credentials of some entries each.
func (u *tenant) manyCredentials(n, entries int, entry func(i int) v1alpha1.Registry) {
	u.Helper()
	u.inParallel(n, func(i int) error {
		c := u.credential(fmt.Sprintf("many-%d", i))
		for e := range entries {
			c.Spec.Registries = append(c.Spec.Registries, entry(i*entries+e))
		}
		return u.edit.Create(u.Context(), c)
	})
}

// regional is an entry with hosts of its own, and an identity that has to assume a role which does not trust it.
func regional(i int, identity *v1alpha1.Identity, externalID string) v1alpha1.Registry {
	entry := ecr(identity)
	entry.Name, entry.ECR.Accounts = fmt.Sprintf("entry-%d", i), []string{fmt.Sprintf("%012d", i)}
	entry.ECR.ExternalID = externalID
	if externalID != "" {
		entry.ECR.RoleARN = "arn:aws:iam::" + cloud.DefaultAccount + ":role/absent"
	}
	return entry
}

func (u *tenant) tryRefresh(c *v1alpha1.RegistryCredential, value string) error {
	err := u.edit.Patch(u.Context(), c, client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRefreshRequestedAt, value)))
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}
