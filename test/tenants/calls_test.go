package tenants

import (
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// callAbuses are what a tenant can do to what all share: the way to a cloud.
var callAbuses = []abuse{
	{name: "access keys that end in a line feed", storm: true, do: func(u *tenant) {
		u.identity("lf", map[string]string{"AWS_ACCESS_KEY_ID": u.user.AccessKeyID + "\n", "AWS_SECRET_ACCESS_KEY": u.user.SecretAccessKey + "\n"})
		u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("lf")) })
	}, says: func(u *tenant) { u.pulls("many-0") }}, // echo leaves it
	{name: "access keys with a line feed in them", storm: true, do: func(u *tenant) {
		u.identity("lf", map[string]string{"AWS_ACCESS_KEY_ID": "AKIA\nEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr\nXUtnFEMI"})
		u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("lf")) })
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonIdentityInvalid) }},
	{name: "access keys that are none", storm: true, do: func(u *tenant) {
		u.identity("none", map[string]string{"AWS_ACCESS_KEY_ID": "not a key", "AWS_SECRET_ACCESS_KEY": "none"})
		u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("none")) })
	}, says: func(u *tenant) {
		u.ready("many-0", v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonInvalidRequest)
	}},
	{name: "access keys that nobody knows", storm: true, do: func(u *tenant) {
		u.identity("unknown", map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"})
		u.manyCredentials(10, 4, func(i int) v1alpha1.Registry { return regional(i, secretRef("unknown"), "") })
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonAccessDenied) }},
	{name: "identities that are not there", storm: true, do: func(u *tenant) {
		u.manyCredentials(20, 4, func(i int) v1alpha1.Registry { return regional(i, secretRef("absent"), "") })
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonIdentityNotFound) }},
	{name: "64 platforms that do not answer", storm: true, do: func(u *tenant) {
		u.identity("admin", map[string]string{"token": "any"})
		u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
			return v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + tarpit}, Identity: secretRef("admin")}
		})
	}},
	{name: "platforms whose names do not resolve", storm: true, do: func(u *tenant) {
		u.identity("admin", map[string]string{"token": "any"})
		u.manyCredentials(20, 1, func(i int) v1alpha1.Registry {
			return v1alpha1.Registry{Name: "jfrog", Identity: secretRef("admin"),
				Artifactory: &v1alpha1.Artifactory{URL: fmt.Sprintf("https://nowhere-%d.invalid", i)}}
		})
	}},
	{name: "trials at the Hub with logins that nobody knows", storm: true, do: func(u *tenant) {
		u.identity("pat", map[string]string{"username": "nobody", "password": "none"})
		u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
			entry := static("docker.io", "pat")
			entry.Verify = &v1alpha1.Verify{Repository: "acme/app"}
			return entry
		})
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonVerificationFailed) }},
	{name: "plugins that are not there", storm: true, do: func(u *tenant) {
		u.manyCredentials(20, 1, func(int) v1alpha1.Registry {
			return v1alpha1.Registry{Name: "plugin", Plugin: &v1alpha1.Plugin{Name: "any", Image: ecrHost + "/team/app"}, Identity: accountRef("default")}
		})
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonInvalidRequest) }},
	{name: "1,000 refresh requests", storm: true, do: func(u *tenant) {
		u.keyed("key")
		c := u.credential("own", ecr(secretRef("key")))
		u.create(c)
		u.pulls("own")
		for i := range 1000 {
			u.annotate(c, map[string]string{v1alpha1.AnnotationRefreshRequestedAt: fmt.Sprint(i)})
		}
	}, says: func(u *tenant) {
		waitFor(u.T, quiet)
		if n := u.minted(); n > 3+int(clock.Now().Sub(u.came)/time.Minute) {
			u.Errorf("%d tokens were minted for 1,000 requests in %s", n, clock.Now().Sub(u.came))
		}
	}},
	{name: "1,000 refresh requests of 20 KiB, on ten credentials", storm: true, do: func(u *tenant) {
		u.keyed("key")
		u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("key")) })
		u.inParallel(1000, func(i int) error {
			c := &v1alpha1.RegistryCredential{ObjectMeta: u.object(fmt.Sprintf("many-%d", i%10))}
			return u.tryRefresh(c, fmt.Sprint(i)+strings.Repeat("x", 20<<10))
		})
	}},
	{name: "credentials that come and go 200 times", storm: true, do: func(u *tenant) {
		u.keyed("key")
		for i := range 200 {
			c := u.credential("comes-and-goes", ecr(secretRef("key")))
			c.Spec.Registries[0].ECR.Accounts = []string{fmt.Sprintf("%012d", i)}
			u.create(c)
			u.must(u.edit.Delete(u.Context(), c))
		}
	}},
	{name: "a spec that changes 300 times", storm: true, do: func(u *tenant) {
		u.keyed("key")
		u.create(u.credential("restless", ecr(secretRef("key"))))
		for i := range 300 {
			u.patch(&v1alpha1.RegistryCredential{ObjectMeta: u.object("restless")}, fmt.Sprintf(
				`{"spec":{"registries":[{"name":"ecr","ecr":{"region":"eu-west-1","accounts":["%012d"]},"identity":{"secretRef":{"name":"key"}}}]}}`, i))
		}
	}},
	{name: "1,600 entries that fail", storm: true, costs: 1600 * 4 << 10, do: func(u *tenant) {
		u.keyed("key")
		u.manyCredentials(100, 16, func(i int) v1alpha1.Registry { return regional(i, secretRef("key"), fmt.Sprintf("external-%d", i)) })
	}, says: func(u *tenant) {
		u.ready("many-0", v1alpha1.ReasonAccessDenied, v1alpha1.ReasonProgressing, v1alpha1.ReasonDuplicateHost)
	}},
	{name: "64 trials at a registry that does not answer", storm: true, do: func(u *tenant) {
		u.identity("pat", map[string]string{"username": "me", "password": "mine"})
		u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
			entry := static(tarpit, "pat")
			entry.Verify = &v1alpha1.Verify{Repository: "team/app"}
			return entry
		})
	}},
	{name: "16 entries with 64 hosts each, in 20 credentials", costs: 8 << 20, storm: true, do: func(u *tenant) {
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
}

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
