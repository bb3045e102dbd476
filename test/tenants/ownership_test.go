package tenants

import (
	"encoding/base64"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// login is a docker config with one login.
func login(host, auth string) string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(auth)))
}

// ownershipAbuses are tricks with who a Secret belongs to.
var ownershipAbuses = []abuse{
	{name: "our label is taken off", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"metadata":{"labels":{"regcred.dev/secret":null}}}`)
	}},
	{name: "a target that is labelled an identity", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"metadata":{"labels":{"regcred.dev/secret":"identity"}}}`)
	}},
	{name: "a target that is given to another owner", mints: 1, do: func(u *tenant) {
		owner := &corev1.ConfigMap{ObjectMeta: u.object("owner")}
		u.create(owner)
		u.patch(u.target(platform), fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q,"controller":true}]}}`, owner.UID))
	}, says: conflicting},
	{name: "a target without owner", says: repaired, mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"metadata":{"ownerReferences":null}}`)
	}},
	{name: "a target that is made immutable", mints: 1, do: func(u *tenant) { u.patch(u.target(platform), `{"immutable":true}`) }},
	{name: "a target that is deleted fifty times", says: repaired, mints: 1, writes: 60, do: func(u *tenant) {
		for range 50 {
			u.must(client.IgnoreNotFound(u.edit.Delete(u.Context(), u.target(platform))))
		}
	}},
	{name: "a target that becomes a Secret of another type", mints: 1, do: func(u *tenant) {
		u.must(u.edit.Delete(u.Context(), u.target(platform)))
		s := &corev1.Secret{ObjectMeta: u.object(platform), StringData: map[string]string{"a": "b"}}
		u.must(client.IgnoreAlreadyExists(u.edit.Create(u.Context(), s)))
	}},
	{name: "a Secret of 900 KiB that is handed over", unselected: true, mints: 1, do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object(platform), Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`, "more": strings.Repeat("x", 900<<10)}}
		s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
		u.create(s)
		u.must(u.admin.Patch(u.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}},
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pull":"platform"}}}`))))
	}, says: repaired},
	{name: "two credentials for one Secret", mints: 1, do: func(u *tenant) {
		u.keyed("key")
		u.create(u.credential(platform, ecr(secretRef("key"))))
	}, says: func(u *tenant) { u.ready(platform, v1alpha1.ReasonSecretConflict) }},
	{name: "a namespace that is deleted and comes back at once", mints: 1, do: func(u *tenant) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}}
		u.must(u.admin.Delete(u.Context(), ns))
		u.eventually("its end", func() bool {
			again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns, Labels: selected}}
			return u.admin.Create(u.Context(), again) == nil
		})
	}, says: func(u *tenant) {
		u.pulls(platform)
		u.eventually("its link", func() bool { return u.linked("default", platform) })
	}},
	{name: "a namespace that does not end", do: func(u *tenant) {
		stuck := &corev1.ConfigMap{ObjectMeta: u.object("stuck")}
		stuck.Finalizers = []string{"example.com/stuck"}
		u.create(stuck)
		u.must(u.admin.Delete(u.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}}))
	}, says: func(u *tenant) {
		u.must(u.admin.Patch(u.Context(), &corev1.ConfigMap{ObjectMeta: u.object("stuck")},
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	}},
	{name: "a Secret in the way whose owner is a message", unselected: true, do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object(platform)}
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "moved:\nlog in", Name: "at\nhttps://evil.example.com", UID: "1", Controller: new(true)}}
		u.create(s)
		u.join()
	}, says: conflicting},
	{name: "a foreign Secret in the way", unselected: true, do: func(u *tenant) {
		u.create(&corev1.Secret{ObjectMeta: u.object(platform), StringData: map[string]string{"mine": "own"}})
		u.must(u.admin.Patch(u.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}},
			client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pull":"platform"}}}`))))
	}, says: func(u *tenant) {
		conflicting(u)
		s := u.target(platform)
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s))
		if string(s.Data["mine"]) != "own" || len(s.Data) != 1 {
			u.Error("the foreign Secret was touched")
		}
		if u.linked("default", platform) {
			u.Error("the foreign Secret is linked")
		}
	}},
	{name: "a Secret that was lent outlives the credential", unselected: true, do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object("lent"), Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: login("own.example", "me:mine")}}
		s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
		u.create(s)
		u.keyed("key")
		c := u.credential("lent", ecr(secretRef("key")))
		u.create(c)
		u.pulls("lent")
		u.must(u.edit.Delete(u.Context(), c))
	}, says: func(u *tenant) {
		waitFor(u.T, quiet) // for the garbage collector
		u.must(u.edit.Get(u.Context(), u.key("lent"), &corev1.Secret{}))
		u.eventually("the end of the link", func() bool { return !u.linked("default", "lent") })
	}},
	{name: "200 Secrets that say they belong to the cluster's credential", writes: 250, do: func(u *tenant) {
		c := &v1alpha1.ClusterRegistryCredential{}
		u.must(u.admin.Get(u.Context(), client.ObjectKey{Name: platform}, c))
		owner := *metav1.NewControllerRef(c, v1alpha1.GroupVersion.WithKind("ClusterRegistryCredential"))
		owner.BlockOwnerDeletion = nil
		u.inParallel(200, func(i int) error {
			s := &corev1.Secret{ObjectMeta: u.object(fmt.Sprintf("forged-%d", i))}
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
			s.OwnerReferences = []metav1.OwnerReference{owner}
			return u.edit.Create(u.Context(), s)
		})
	}},
	{name: "200 Secrets that look like targets, with 200 KiB of annotations each", writes: 250, do: func(u *tenant) {
		u.inParallel(200, func(i int) error {
			s := &corev1.Secret{ObjectMeta: u.object(fmt.Sprintf("fat-%d", i)), Type: corev1.SecretTypeDockerConfigJson,
				StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
			s.Annotations = map[string]string{"fat": strings.Repeat("x", 150<<10), registries: strings.Repeat("[", 50<<10)}
			return u.edit.Create(u.Context(), s)
		})
	}},
	{name: "200 Secrets whose record says that 16 annotations of 4,000 bytes are a template's", writes: 250, do: func(u *tenant) {
		keys, annotations := make([]string, 16), map[string]string{}
		for i := range keys {
			keys[i] = fmt.Sprintf("theirs-%d", i)
			annotations[keys[i]] = strings.Repeat("x", 4000)
		}
		annotations[registries] = `{"version":1,"entries":[],"annotations":` + asJSON(u, keys) + `}`
		u.inParallel(200, func(i int) error {
			s := &corev1.Secret{ObjectMeta: u.object(fmt.Sprintf("told-%d", i)), Type: corev1.SecretTypeDockerConfigJson,
				StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
			s.Labels, s.Annotations = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}, annotations
			return u.edit.Create(u.Context(), s)
		})
	}},
}

// conflicting waits until the cluster's credential names the tenant's namespace for its Secret.
func conflicting(u *tenant) {
	u.Helper()
	u.failing(v1alpha1.ReasonSecretConflict)
}

// failing waits until the cluster's credential names the namespace, with one of the reasons.
func (u *tenant) failing(reasons ...string) {
	u.Helper()
	var last string
	if !within(u.Context(), patience, func() bool {
		last = asJSON(u, sharedStatus(u.T).Failures)
		for _, reason := range reasons {
			if strings.Contains(last, reason) && strings.Contains(last, `"`+u.ns+`"`) {
				return true
			}
		}
		return false
	}) {
		u.Errorf("the cluster's credential says %s, want %s and %q", last, u.ns, reasons)
	}
}
