package tenants

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// linkAbuses are what a tenant can do with its ServiceAccounts.
var linkAbuses = []abuse{
	{name: "8,000 records of links on one ServiceAccount", writes: 10, do: recordLinks("", 8000)},
	{name: "a record of a link of 200 KiB", writes: 10, do: func(u *tenant) {
		u.annotate(u.account("default"), map[string]string{"link.regcred.dev/platform": strings.Repeat("x", 200<<10)})
	}, says: repaired},
	{name: "a list of pull secrets that somebody applies again and again", storm: true, do: func(u *tenant) {
		for range 60 {
			sa := fmt.Sprintf(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":%q},"imagePullSecrets":[{"name":"mine"}]}`, u.ns)
			u.must(u.edit.Patch(u.Context(), u.account("default"), client.RawPatch(types.ApplyPatchType, []byte(sa)),
				client.FieldOwner("argocd-controller"), client.ForceOwnership))
		}
	}, says: func(u *tenant) {
		sa := u.account("default")
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(sa), sa))
		if len(sa.ImagePullSecrets) == 0 || sa.ImagePullSecrets[0].Name != "mine" {
			u.Errorf("the foreign link is gone: %v", sa.ImagePullSecrets)
		}
	}},
	{name: "500 pull secrets on one ServiceAccount", writes: 10, do: func(u *tenant) {
		sa := u.account("crowded")
		for i := range 500 {
			sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: fmt.Sprintf("secret-%d", i)})
		}
		u.create(sa)
		u.identity("pat", map[string]string{"username": "me", "password": "mine"})
		c := u.credential("crowd", static("quay.io", "pat"))
		c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"crowded"}}
		u.create(c)
	}, says: func(u *tenant) { u.eventually("its link", func() bool { return u.linked("crowded", "crowd") }) }},
	{name: "a ServiceAccount whose labels change 300 times", writes: 20, do: func(u *tenant) {
		for i := range 300 {
			u.patch(u.account("default"), fmt.Sprintf(`{"metadata":{"labels":{"turn":"%d"}}}`, i))
		}
	}},
	{name: "60 ServiceAccounts with 250 KiB of pull secrets", writes: 10, do: func(u *tenant) {
		u.inParallel(60, func(i int) error {
			sa := u.account(fmt.Sprintf("fat-%d", i))
			for n := range 200 {
				sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: fmt.Sprintf("%0*d", 1300, i*200+n)})
			}
			return u.edit.Create(u.Context(), sa)
		})
	}},
	{name: "a ServiceAccount with 4 KiB of labels that change 1,000 times", writes: 20, do: func(u *tenant) {
		domain := strings.Repeat(strings.Repeat("a", 60)+".", 4) + "io/"
		for i := range 1000 {
			labels := map[string]string{}
			for n := range 12 {
				labels[fmt.Sprintf("%slabel-%d", domain, n)] = fmt.Sprint(i)
			}
			u.patch(u.account("default"), asJSON(u, map[string]any{"metadata": map[string]any{"labels": labels}}))
		}
	}},
	{name: "500 ServiceAccounts for one credential", writes: 600, do: func(u *tenant) {
		u.identity("pat", map[string]string{"username": "me", "password": "mine"})
		c := u.credential("crowd", static("quay.io", "pat"))
		c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{}}
		u.create(c)
		u.inParallel(500, func(i int) error { return u.edit.Create(u.Context(), u.account(fmt.Sprintf("app-%d", i))) })
	}, says: func(u *tenant) { u.eventually("the last link", func() bool { return u.linked("app-499", "crowd") }) }},
	{name: "a link that is taken off 100 times", storm: true, do: func(u *tenant) {
		for range 100 {
			u.patch(u.account("default"), `{"imagePullSecrets":null}`)
		}
	}, says: func(u *tenant) {
		if n := linkWrites(u); n > 30 {
			u.Errorf("the link was written %d times", n)
		}
	}},
	{name: "1,000 records of links of its own kind", writes: 10, do: recordLinks("RegistryCredential", 1000)},
	{name: "1,000 records of links of the cluster's kind", writes: 10, do: recordLinks("ClusterRegistryCredential", 1000)},
	{name: "1,000 records of links to the cluster's credential", writes: 10, do: recordLinks("ClusterRegistryCredential/platform", 1000)},
}

// recordLinks puts records of links on a ServiceAccount which nobody has made.
func recordLinks(value string, n int) func(*tenant) {
	return func(u *tenant) {
		annotations := map[string]string{}
		for i := range n {
			annotations[fmt.Sprintf("link.regcred.dev/l%d", i)] = value
		}
		u.annotate(u.account("default"), annotations)
	}
}

// linkWrites is how often the controller has written the tenant's ServiceAccounts.
func linkWrites(u *tenant) int {
	u.Helper()
	requests, err := world.AuditRequests(u.began, nil)
	u.must(err)
	n := 0
	for _, r := range requests {
		if r.User == controllerUser && r.Namespace == u.ns && r.Resource == "serviceaccounts" && r.Verb == "patch" {
			n++
		}
	}
	return n
}
