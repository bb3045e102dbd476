//go:build open

package tenants

import (
	"bytes"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// What is not withstood yet: go test -tags open ./test/tenants.
func init() {
	ownershipAbuses = append(ownershipAbuses,
		abuse{name: "200 Secrets that say they belong to the cluster's credential", writes: 250, do: func(u *tenant) {
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
		abuse{name: "a foreign Secret in the way", unselected: true, do: func(u *tenant) {
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
		abuse{name: "200 Secrets that look like targets, with 200 KiB of annotations each", forgets: true, writes: 250, do: func(u *tenant) {
			u.inParallel(200, func(i int) error {
				s := &corev1.Secret{ObjectMeta: u.object(fmt.Sprintf("fat-%d", i)), Type: corev1.SecretTypeDockerConfigJson,
					StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
				s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
				s.Annotations = map[string]string{"fat": strings.Repeat("x", 150<<10), registries: strings.Repeat("[", 50<<10)}
				return u.edit.Create(u.Context(), s)
			})
		}},
		abuse{name: "a Secret that was lent outlives the credential", unselected: true, do: func(u *tenant) {
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
	)
	identityAbuses = append(identityAbuses,
		abuse{name: "a credential whose identity is its own Secret", do: func(u *tenant) {
			s := &corev1.Secret{ObjectMeta: u.object("self"), Type: corev1.SecretTypeDockerConfigJson,
				StringData: map[string]string{corev1.DockerConfigJsonKey: login("own.example", "me:mine")}}
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
			s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
			u.create(s)
			c := u.credential("self", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("self")})
			if err := u.edit.Create(u.Context(), c); err != nil {
				return // the schema refuses it
			}
		}, says: func(u *tenant) {
			s := u.target("self")
			u.must(u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s))
			if !bytes.Contains(s.Data[corev1.DockerConfigJsonKey], []byte("own.example")) {
				u.Error("the Secret was changed")
			}
		}},
		abuse{name: "an entry whose identity is the Secret that another entry makes", do: func(u *tenant) {
			u.keyed("key")
			c := u.credential("chain", ecr(secretRef("key")), v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("chain")})
			if err := u.edit.Create(u.Context(), c); err != nil {
				return
			}
		}},
		abuse{name: "two credentials that read each other's Secrets", do: func(u *tenant) {
			for name, other := range map[string]string{"left": "right", "right": "left"} {
				s := &corev1.Secret{ObjectMeta: u.object(name), Type: corev1.SecretTypeDockerConfigJson,
					StringData: map[string]string{corev1.DockerConfigJsonKey: login(name+".example", "me:mine")}}
				s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
				s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
				u.create(s)
				u.create(u.credential(name, v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef(other)}))
			}
		}},
		abuse{name: "an identity of 480 KiB whose metadata changes 300 times", forgets: true, writes: 10, do: func(u *tenant) {
			u.fatIdentity("fat", 480<<10)
			u.create(u.credential("fat-images", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("fat")}))
			u.eventually("its Secret", func() bool { return u.edit.Get(u.Context(), u.key("fat-images"), &corev1.Secret{}) == nil })
			for i := range 300 {
				u.annotate(u.target("fat"), map[string]string{"example.com/synced-at": fmt.Sprint(i)})
			}
		}},
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
					string(s.Data[corev1.DockerConfigJsonKey]) == login("quay.io", "case-bot:p999")
			})
		}},
		abuse{name: "an identity of 480 KiB that changes 60 times", forgets: true, storm: true, do: func(u *tenant) {
			u.fatIdentity("fat", 480<<10)
			u.create(u.credential("fat-images", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("fat")}))
			for i := range 60 {
				u.patch(u.target("fat"), `{"stringData":{".dockerconfigjson":`+quoted(login("quay.io", fmt.Sprintf("me:%d%s", i, strings.Repeat("x", 300<<10))))+`}}`)
			}
		}},
		abuse{name: "40 identities of 480 KiB", forgets: true, writes: 100, do: func(u *tenant) {
			u.inParallel(40, func(i int) error {
				name := fmt.Sprintf("fat-%d", i)
				s := u.fatSecret(name, 480<<10)
				if err := u.edit.Create(u.Context(), s); err != nil {
					return err
				}
				return u.edit.Create(u.Context(), u.credential(fmt.Sprintf("images-%d", i), v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef(name)}))
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
		abuse{name: "200 KiB of annotations on each of 100 ServiceAccounts", forgets: true, do: func(u *tenant) {
			u.inParallel(100, func(i int) error {
				sa := u.account(fmt.Sprintf("fat-%d", i))
				sa.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), sa)
			})
		}},
		abuse{name: "200 KiB in an annotation that a provider reads, on each of 100 ServiceAccounts", forgets: true, do: func(u *tenant) {
			u.inParallel(100, func(i int) error {
				sa := u.account(fmt.Sprintf("fat-%d", i))
				sa.Annotations = map[string]string{"eks.amazonaws.com/role-arn": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), sa)
			})
		}},
		abuse{name: "200 KiB of annotations on each of 50 credentials", forgets: true, storm: true, do: func(u *tenant) {
			u.inParallel(50, func(i int) error {
				c := u.credential(fmt.Sprintf("fat-%d", i), ecr(secretRef("nobody")))
				c.Annotations = map[string]string{"fat": strings.Repeat("x", 200<<10)}
				return u.edit.Create(u.Context(), c)
			})
		}},
		abuse{name: "foreign annotations on an identity's ServiceAccount", do: func(u *tenant) {
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
		abuse{name: "a ServiceAccount's token as a login", do: func(u *tenant) {
			s := &corev1.Secret{ObjectMeta: u.object("api-token"), Type: corev1.SecretTypeServiceAccountToken}
			s.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
			u.create(s)
			u.create(u.credential("stolen", v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + evil}, Identity: secretRef("api-token")}))
		}, says: func(u *tenant) {
			u.ready("stolen", v1alpha1.ReasonIdentityInvalid)
			u.nothingSent()
		}},
		abuse{name: "a Secret that nobody has made an identity, as a login", do: func(u *tenant) {
			u.create(&corev1.Secret{ObjectMeta: u.object("any"), StringData: map[string]string{"token": "somebody's"}})
			u.create(u.credential("stolen", v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + evil}, Identity: secretRef("any")}))
		}, says: func(u *tenant) {
			u.ready("stolen", v1alpha1.ReasonIdentityInvalid)
			u.nothingSent()
		}},
		abuse{name: "a token for AWS, sent to a host of one's own", do: sendTokenFor("sts.amazonaws.com"), says: notForThisHost},
		abuse{name: "a token for Azure, sent to a host of one's own", do: sendTokenFor("api://AzureADTokenExchange"), says: notForThisHost},
		abuse{name: "a token for Google, sent to a host of one's own", says: notForThisHost,
			do: sendTokenFor("//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster")},
		abuse{name: "a token for the API server, sent to a host of one's own", do: sendTokenFor("https://kubernetes.default.svc"), says: notForThisHost},
		abuse{name: "a docker config of 5,000 hosts", writes: 10, do: func(u *tenant) {
			var auths []string
			for i := range 5000 {
				auths = append(auths, fmt.Sprintf(`"host-%d.example":{"auth":"YTpi"}`, i))
			}
			u.identity("many", map[string]string{corev1.DockerConfigJsonKey: `{"auths":{` + strings.Join(auths, ",") + `}}`})
			u.create(u.credential("many-hosts", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("many")}))
		}, says: func(u *tenant) { u.ready("many-hosts", v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonCurrent) }},
		abuse{name: "a docker config with hosts that are none", do: func(u *tenant) {
			u.identity("none", map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"\u0000\n":{"auth":"YTpi"},"` + strings.Repeat("a.", 1000) + `":{"auth":"YTpi"}}}`})
			u.create(u.credential("no-hosts", v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{}, Identity: secretRef("none")}))
		}, says: func(u *tenant) { u.ready("no-hosts", v1alpha1.ReasonIdentityInvalid) }},
	)
	callAbuses = append(callAbuses,
		abuse{name: "access keys that end in a line feed", storm: true, do: func(u *tenant) {
			u.identity("lf", map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE\n", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI\n"})
			u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("lf")) })
		}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonIdentityInvalid) }},
		abuse{name: "access keys that are none", storm: true, do: func(u *tenant) {
			u.identity("none", map[string]string{"AWS_ACCESS_KEY_ID": "not a key", "AWS_SECRET_ACCESS_KEY": "none"})
			u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("none")) })
		}, says: func(u *tenant) {
			u.ready("many-0", v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonInvalidRequest)
		}},
		abuse{name: "access keys that nobody knows", storm: true, do: func(u *tenant) {
			u.identity("unknown", map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"})
			u.manyCredentials(10, 4, func(i int) v1alpha1.Registry { return regional(i, secretRef("unknown"), "") })
		}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonAccessDenied) }},
		abuse{name: "identities that are not there", storm: true, do: func(u *tenant) {
			u.manyCredentials(20, 4, func(i int) v1alpha1.Registry { return regional(i, secretRef("absent"), "") })
		}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonIdentityNotFound) }},
		abuse{name: "4,800 entries that fail", storm: true, forgets: true, do: func(u *tenant) {
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
		abuse{name: "64 platforms that do not answer", storm: true, do: func(u *tenant) {
			u.identity("admin", map[string]string{"token": "any"})
			u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
				return v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: "https://" + tarpit}, Identity: secretRef("admin")}
			})
		}},
		abuse{name: "platforms whose names do not resolve", storm: true, do: func(u *tenant) {
			u.identity("admin", map[string]string{"token": "any"})
			u.manyCredentials(20, 1, func(i int) v1alpha1.Registry {
				return v1alpha1.Registry{Name: "jfrog", Identity: secretRef("admin"),
					Artifactory: &v1alpha1.Artifactory{URL: fmt.Sprintf("https://nowhere-%d.invalid", i)}}
			})
		}},
		abuse{name: "trials at the Hub with logins that nobody knows", storm: true, do: func(u *tenant) {
			u.identity("pat", map[string]string{"username": "nobody", "password": "none"})
			u.manyCredentials(64, 1, func(int) v1alpha1.Registry {
				entry := static("docker.io", "pat")
				entry.Verify = &v1alpha1.Verify{Repository: "acme/app"}
				return entry
			})
		}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonVerificationFailed) }},
		abuse{name: "plugins that are not there", storm: true, do: func(u *tenant) {
			u.manyCredentials(20, 1, func(int) v1alpha1.Registry {
				return v1alpha1.Registry{Name: "plugin", Plugin: &v1alpha1.Plugin{Name: "any", Image: ecrHost + "/team/app"}, Identity: accountRef("default")}
			})
		}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonInvalidRequest) }},
		abuse{name: "1,000 refresh requests", forgets: true, storm: true, do: func(u *tenant) {
			u.keyed("key")
			c := u.credential("own", ecr(secretRef("key")))
			u.create(c)
			u.pulls("own")
			for i := range 1000 {
				u.annotate(c, map[string]string{v1alpha1.AnnotationRefreshRequestedAt: fmt.Sprint(i)})
			}
		}, says: func(u *tenant) {
			waitFor(u.T, quiet)
			if n := u.minted(); n > 3 {
				u.Errorf("%d tokens were minted for 1,000 requests in a minute", n)
			}
		}},
		abuse{name: "1,000 refresh requests of 20 KiB, on ten credentials", forgets: true, storm: true, do: func(u *tenant) {
			u.keyed("key")
			u.manyCredentials(10, 1, func(int) v1alpha1.Registry { return ecr(secretRef("key")) })
			u.inParallel(1000, func(i int) error {
				c := &v1alpha1.RegistryCredential{ObjectMeta: u.object(fmt.Sprintf("many-%d", i%10))}
				return u.tryRefresh(c, fmt.Sprint(i)+strings.Repeat("x", 20<<10))
			})
		}},
		abuse{name: "credentials that come and go 200 times", forgets: true, storm: true, do: func(u *tenant) {
			u.keyed("key")
			for i := range 200 {
				c := u.credential("comes-and-goes", ecr(secretRef("key")))
				c.Spec.Registries[0].ECR.Accounts = []string{fmt.Sprintf("%012d", i)}
				u.create(c)
				u.must(u.edit.Delete(u.Context(), c))
			}
		}},
		abuse{name: "a spec that changes 300 times", forgets: true, storm: true, do: func(u *tenant) {
			u.keyed("key")
			u.create(u.credential("restless", ecr(secretRef("key"))))
			for i := range 300 {
				u.patch(&v1alpha1.RegistryCredential{ObjectMeta: u.object("restless")}, fmt.Sprintf(
					`{"spec":{"registries":[{"name":"ecr","ecr":{"region":"eu-west-1","accounts":["%012d"]},"identity":{"secretRef":{"name":"key"}}}]}}`, i))
			}
		}},
		abuse{name: "16 entries with 64 hosts each, in 20 credentials", forgets: true, storm: true, do: func(u *tenant) {
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
		abuse{name: "500 ServiceAccounts for one credential", forgets: true, writes: 600, do: func(u *tenant) {
			u.identity("pat", map[string]string{"username": "me", "password": "mine"})
			c := u.credential("crowd", static("quay.io", "pat"))
			c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{}}
			u.create(c)
			u.inParallel(500, func(i int) error { return u.edit.Create(u.Context(), u.account(fmt.Sprintf("app-%d", i))) })
		}, says: func(u *tenant) { u.eventually("the last link", func() bool { return u.linked("app-499", "crowd") }) }},
	)
	admissionAbuses = append(admissionAbuses,
		abuse{name: "a webhook that sees a conflict in its Secrets", unselected: true, storm: true, do: blocking("secrets", conflicts), says: rejected},
		abuse{name: "a webhook that throttles its Secrets", unselected: true, storm: true, do: blocking("secrets", throttles), says: rejected},
		abuse{name: "a webhook that hangs for its Secrets", unselected: true, storm: true, do: blocking("secrets", hangs), says: rejected},
		abuse{name: "a webhook that fails for its Secrets", unselected: true, storm: true, do: blocking("secrets", fails), says: rejected},
		abuse{name: "a webhook that hangs for its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", hangs), says: func(u *tenant) {
			u.pulls(platform) // a link that fails stops no token
			u.failing(v1alpha1.ReasonLinkFailed, v1alpha1.ReasonInternal)
		}},
		abuse{name: "a webhook that fails for its ServiceAccounts", unselected: true, storm: true, mints: 1, do: blocking("serviceaccounts", fails), says: func(u *tenant) {
			u.pulls(platform)
			u.failing(v1alpha1.ReasonLinkFailed, v1alpha1.ReasonInternal)
		}},
		abuse{name: "a quota that is full, and our label taken off", mints: 1, do: func(u *tenant) {
			u.quota(fmt.Sprint(u.secrets()))
			u.patch(u.target(platform), `{"metadata":{"labels":{"regcred.dev/secret":null}}}`)
		}, says: func(u *tenant) {
			u.eventually("the label", func() bool {
				s := u.target(platform)
				return u.edit.Get(u.Context(), client.ObjectKeyFromObject(s), s) == nil && s.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget
			})
		}},
		abuse{name: "a quota that is full, and a foreign Secret in the way", unselected: true, mints: 1, do: func(u *tenant) {
			u.create(&corev1.Secret{ObjectMeta: u.object(platform), Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}})
			u.quota(fmt.Sprint(u.secrets()))
			u.join()
			conflicting(u)
			u.annotate(u.target(platform), map[string]string{v1alpha1.AnnotationAdopt: "true"})
			u.patch(u.account("default"), `{"metadata":{"labels":{"look":"again"}}}`)
		}, says: repaired},
	)
	podAbuses = append(podAbuses,
		abuse{name: "another login under our manager's name, and a pull that fails for it", mints: 1, do: func(u *tenant) {
			u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":`+quoted(login(ecrHost, "AWS:wrong"))+`}}`, asRegcred)
			pod := &corev1.Pod{ObjectMeta: u.object("victim")}
			pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
			u.create(pod)
			for range 5 {
				u.must(u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized"))
			}
		}, says: repaired},
	)
}
