package tenants

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// identityAbuses are what a tenant can do with Secrets and ServiceAccounts that stand for somebody.
var identityAbuses = []abuse{
	{name: "a credential whose identity is its own Secret", do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object("self"), Type: corev1.SecretTypeDockerConfigJson,
			StringData: map[string]string{corev1.DockerConfigJsonKey: login("own.example", "me:mine")}}
		s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
		s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
		u.create(s)
		c := u.credential("self", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("self")})
		u.refusable(c, "secretRef")
	}, says: func(u *tenant) {
		s := u.target("self")
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s))
		if !bytes.Contains(s.Data[corev1.DockerConfigJsonKey], []byte("own.example")) {
			u.Error("the Secret was changed")
		}
	}},
	{name: "an entry whose identity is the Secret that another entry makes", do: func(u *tenant) {
		u.keyed("key")
		c := u.credential("chain", ecr(secretRef("key")), v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("chain")})
		u.refusable(c, "secretRef")
	}},
	{name: "two credentials that read each other's Secrets", do: func(u *tenant) {
		for name, other := range map[string]string{"left": "right", "right": "left"} {
			s := &corev1.Secret{ObjectMeta: u.object(name), Type: corev1.SecretTypeDockerConfigJson,
				StringData: map[string]string{corev1.DockerConfigJsonKey: login(name+".example", "me:mine")}}
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
			s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
			u.create(s)
			u.create(u.credential(name, v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef(other)}))
		}
	}},
	{name: "an identity of 480 KiB whose metadata changes 300 times", writes: 10, do: func(u *tenant) {
		u.fatIdentity("fat", 480<<10)
		u.create(u.credential("fat-images", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("fat")}))
		u.eventually("its Secret", func() bool { return u.edit.Get(u.Context(), u.key("fat-images"), &corev1.Secret{}) == nil })
		for i := range 300 {
			u.annotate(u.target("fat"), map[string]string{"example.com/synced-at": fmt.Sprint(i)})
		}
	}},
	{name: "an identity of 480 KiB that changes 60 times", storm: true, do: func(u *tenant) {
		u.fatIdentity("fat", 480<<10)
		u.create(u.credential("fat-images", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("fat")}))
		for i := range 60 {
			u.patch(u.target("fat"), `{"stringData":{".dockerconfigjson":`+quoted(login("quay.io", fmt.Sprintf("me:%d%s", i, strings.Repeat("x", 300<<10))))+`}}`)
		}
	}},
	{name: "200 KiB of annotations on each of 100 ServiceAccounts", do: func(u *tenant) {
		u.inParallel(100, func(i int) error {
			sa := u.account(fmt.Sprintf("fat-%d", i))
			sa.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
			return u.edit.Create(u.Context(), sa)
		})
	}},
	{name: "200 KiB in an annotation that a provider reads, on each of 100 ServiceAccounts", do: func(u *tenant) {
		u.inParallel(100, func(i int) error {
			sa := u.account(fmt.Sprintf("fat-%d", i))
			sa.Annotations = map[string]string{"eks.amazonaws.com/role-arn": strings.Repeat("x", 200<<10)}
			return u.edit.Create(u.Context(), sa)
		})
	}},
	{name: "foreign annotations on an identity's ServiceAccount", do: func(u *tenant) {
		u.roleFor("puller")
		u.create(u.credential("own", ecr(accountRef("puller"))))
		u.pulls("own")
		minted, before := u.minted(), u.target("own")
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(before), before))
		for i := range 30 {
			u.annotate(u.account("puller"), map[string]string{"openshift.io/internal-registry-pull-secret-ref": fmt.Sprint(i), "argocd.argoproj.io/tracking-id": fmt.Sprint(i)})
		}
		waitFor(u.T, quiet)
		after := u.target("own")
		u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(after), after))
		if more := u.minted() - minted; more > 0 || before.ResourceVersion != after.ResourceVersion {
			u.Errorf("an annotation that nobody reads costs %d tokens, and the Secret went from %s to %s", more, before.ResourceVersion, after.ResourceVersion)
		}
	}},
	{name: "a ServiceAccount's token as a login", do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object("api-token"), Type: corev1.SecretTypeServiceAccountToken}
		s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
		u.create(s)
		u.create(u.credential("stolen", v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + evil}, Identity: secretRef("api-token")}))
	}, says: func(u *tenant) {
		u.ready("stolen", v1alpha1.ReasonIdentityInvalid)
		u.nothingSent()
	}},
	{name: "a Secret that nobody has made an identity, as a login", do: func(u *tenant) {
		u.create(&corev1.Secret{ObjectMeta: u.object("any"), StringData: map[string]string{"token": "somebody's"}})
		u.create(u.credential("stolen", v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + evil}, Identity: secretRef("any")}))
	}, says: func(u *tenant) {
		u.ready("stolen", v1alpha1.ReasonIdentityInvalid)
		u.nothingSent()
	}},
	{name: "a token for AWS, sent to a host of one's own", do: sendTokenFor("sts.amazonaws.com"), says: notForThisHost},
	{name: "a token for Azure, sent to a host of one's own", do: sendTokenFor("api://AzureADTokenExchange"), says: notForThisHost},
	{name: "a token for Google, sent to a host of one's own", says: notForThisHost,
		do: sendTokenFor("//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster")},
	{name: "a token for the API server, sent to a host of one's own", do: sendTokenFor("https://kubernetes.default.svc"), says: notForThisHost},
	{name: "a docker config of 15,000 logins", writes: 10, do: func(u *tenant) {
		var auths []string
		for i := range 15_000 {
			login := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "u%d:p", i))
			auths = append(auths, fmt.Sprintf(`"host-%d.example":{"auth":%q}`, i, login))
		}
		u.identity("many", map[string]string{corev1.DockerConfigJsonKey: `{"auths":{` + strings.Join(auths, ",") + `}}`})
		u.create(u.credential("many-hosts", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("many")}))
	}, says: func(u *tenant) { u.ready("many-hosts", v1alpha1.ReasonIdentityInvalid) }},
	{name: "a docker config with hosts that are none", do: func(u *tenant) {
		u.identity("none", map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"\u0000\n":{"auth":"YTpi"},"` + strings.Repeat("a.", 1000) + `":{"auth":"YTpi"}}}`})
		u.create(u.credential("no-hosts", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("none")}))
	}, says: func(u *tenant) { u.ready("no-hosts", v1alpha1.ReasonIdentityInvalid) }},
	{name: "an identity that changes 1,000 times", storm: true, do: func(u *tenant) {
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
	{name: "40 identities of 480 KiB", writes: 100, do: func(u *tenant) {
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
	{name: "200 KiB of annotations on each of 50 credentials", storm: true, do: func(u *tenant) {
		u.inParallel(50, func(i int) error {
			c := u.credential(fmt.Sprintf("fat-%d", i), ecr(secretRef("nobody")))
			c.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
			return u.edit.Create(u.Context(), c)
		})
	}},
	{name: "60 suspended RegistryCredentials with 1 MB of finalizers", do: func(u *tenant) {
		finalizers := slices.Repeat([]string{strings.Repeat("f", 253) + "/" + strings.Repeat("f", 63)}, 3_200)
		u.inParallel(60, func(i int) error {
			c := u.credential(fmt.Sprintf("kept-%d", i), ecr(secretRef("nobody")))
			c.Spec.Suspend, c.Finalizers = true, finalizers
			return u.edit.Create(u.Context(), c)
		})
	}, says: func(u *tenant) {
		u.inParallel(60, func(i int) error { // else the namespace does not end
			c := &v1alpha1.RegistryCredential{ObjectMeta: u.object(fmt.Sprintf("kept-%d", i))}
			return u.edit.Patch(u.Context(), c, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
		})
	}},
	{name: "200 KiB of annotations on an identity Secret", do: func(u *tenant) {
		u.inParallel(60, func(i int) error {
			s := u.target(fmt.Sprintf("fat-%d", i))
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
			s.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
			return u.edit.Create(u.Context(), s)
		})
	}},
}

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
