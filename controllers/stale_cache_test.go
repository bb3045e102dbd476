package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

// labelled shows only the Secrets that CacheOptions selects, and what is held of them.
type labelled struct{ client.Reader }

func (l labelled) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := l.Reader.Get(ctx, key, o, opts...); err != nil {
		return err
	}
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Kind == "Secret" && m.Labels[v1alpha1.LabelSecret] == "" {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Kind == "Secret" {
		pullsecret.Trim(m)
	}
	return nil
}

// staleNamespace shows a namespace as it was before its deletion.
type staleNamespace struct {
	client.Reader
	name string
}

func (s staleNamespace) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := s.Reader.Get(ctx, key, o, opts...)
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && m.Kind == "Namespace" && key.Name == s.name {
		m.DeletionTimestamp = nil
	}
	return err
}

// behind shows Secrets and ServiceAccounts as they were when it was made.
type behind struct {
	client.Reader
	secret   *metav1.PartialObjectMetadata
	accounts corev1.ServiceAccountList
}

func (w *world) fallBehind(t credential.Target) {
	w.Helper()
	b := &behind{Reader: w.Cache, secret: view.SecretMetadata()}
	w.must(w.Cache.Get(w.Context(), t.Secret(), b.secret))
	w.must(w.Cache.List(w.Context(), &b.accounts, client.InNamespace(t.Namespace)))
	w.Cache = b
}

func (b *behind) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && key == client.ObjectKeyFromObject(b.secret) {
		b.secret.DeepCopyInto(m)
		return nil
	}
	return b.Reader.Get(ctx, key, o, opts...)
}

func (b *behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if accounts, ok := list.(*corev1.ServiceAccountList); ok {
		b.accounts.DeepCopyInto(accounts)
		return nil
	}
	return b.Reader.List(ctx, list, opts...)
}

// replace puts a foreign Secret in the place of the target's.
func (w *world) replace(t credential.Target) *corev1.Secret {
	w.Helper()
	w.must(w.admin.Delete(w.Context(), w.secret(t)))
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Credential.Name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)}}
	w.must(w.admin.Create(w.Context(), foreign))
	return foreign
}

func TestACacheThatIsBehindHarmsNobody(t *testing.T) {
	for name, act := range map[string]func(*world, credential.Target, time.Duration){
		"a rotation": func(w *world, _ credential.Target, due time.Duration) { w.step(due) },
		"a release": func(w *world, _ credential.Target, _ time.Duration) {
			w.change(w.names, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.NamespaceSelector.MatchLabels["team"] = "other" })
		},
		"an entry read back": func(w *world, _ credential.Target, _ time.Duration) {
			cache := w.Cache
			w.restart()
			w.Cache = cache
			w.change(w.names, func(c *v1alpha1.ClusterRegistryCredential) {
				c.Spec.Registries = append(c.Spec.Registries, registry("more", "us-east-1"))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.names = ns
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			due := w.run(target).RequeueAfter
			w.fallBehind(target)
			foreign := w.replace(target)
			act(w, target, due)
			if again := w.run(target).RequeueAfter; again == 0 {
				t.Error("it is looked at again only if an event comes")
			}
			if got := w.secret(target); got.ResourceVersion != foreign.ResourceVersion {
				t.Error("a foreign Secret that has taken the place of ours was touched")
			}
			if name != "a rotation" {
				return
			}
			if ready := w.ready(target); ready.Status != metav1.ConditionTrue {
				t.Errorf("Ready=%s %s, though nothing is known yet", ready.Status, ready.Reason)
			}
		})
	}
}

func TestALinkThatSomebodyAddsMeanwhileSurvives(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.ServiceAccounts = nil }, registry("prod", "eu-west-1"))
	w.run(target)
	cache := w.Cache
	w.fallBehind(target)
	sa := &corev1.ServiceAccount{}
	w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "default"}, sa))
	sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}}
	w.must(w.admin.Update(t.Context(), sa))
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	})
	w.run(target)
	w.Cache = cache
	w.run(target)
	if diff := cmp.Diff([]string{"theirs", ns}, w.links(ns, "default")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestANamesakeDoesNotSpeakForAServiceAccount(t *testing.T) {
	w, ns := newWorld(t)
	w.serviceAccount(ns, "puller", nil)
	own := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "own"}}
	c, err := credential.Of(own)
	w.must(err)
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}
	req, err := w.Request(t.Context(), c, entry)
	w.must(err)
	id := req.Identity.ServiceAccount
	if token, err := id.RequestToken(t.Context(), "sts.amazonaws.com", 10*time.Minute); err != nil || token == "" {
		t.Fatalf("no token: %v", err)
	}
	w.must(w.admin.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "puller"}}))
	w.serviceAccount(ns, "puller", nil)
	if _, err := id.RequestToken(t.Context(), "sts.amazonaws.com", 10*time.Minute); err == nil {
		t.Error("another ServiceAccount of the same name gave the token")
	}
}

func TestASecretIsAnIdentityOnlyIfItsOwnerSaysSo(t *testing.T) {
	w, ns := newWorld(t)
	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: ns}, StringData: map[string]string{"key": "1"}}
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: ns}}
	target := w.apply(ns, nil, entry)
	w.run(target)
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonIdentityNotFound {
		t.Errorf("Ready: %s: %s", ready.Reason, ready.Message)
	}
	w.must(w.admin.Create(t.Context(), keys))
	if after := w.run(target).RequeueAfter; after != missingSecret {
		t.Errorf("a Secret that is missing is looked for after %s, want %s", after, missingSecret)
	}
	w.step(missingSecret)
	w.run(target)
	command := "kubectl label secret -n " + home + " " + ns + " regcred.dev/secret=identity"
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonIdentityInvalid || !strings.Contains(ready.Message, command) || w.mint.count() != 0 {
		t.Errorf("%d calls, Ready: %s: %s", w.mint.count(), ready.Reason, ready.Message)
	}
	keys.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
	w.must(w.admin.Update(t.Context(), keys))
	w.run(target)
	if w.mint.count() != 1 {
		t.Fatalf("%d calls, want 1", w.mint.count())
	}
	data, err := w.mint.asked[0].Identity.Secret.Data(t.Context())
	if err != nil || string(data["key"]) != "1" {
		t.Errorf("the Secret's content was not given to the provider: %v", err)
	}
	keys.Annotations = map[string]string{"touched": "x"}
	w.must(w.admin.Update(t.Context(), keys))
	w.run(target)
	if w.mint.count() != 1 {
		t.Errorf("%d calls, want 1: the content is the same", w.mint.count())
	}
	keys.StringData = map[string]string{"key": "2"}
	w.must(w.admin.Update(t.Context(), keys))
	w.run(target)
	if w.mint.count() != 2 {
		t.Errorf("%d calls, want 2", w.mint.count())
	}
	keys.Labels = nil
	w.must(w.admin.Update(t.Context(), keys))
	if _, err := w.mint.asked[1].Identity.Secret.Data(t.Context()); err == nil {
		t.Error("a Secret that is an identity no longer is given to the provider")
	}
}

func TestSomeSecretsAreNeverIdentities(t *testing.T) {
	w, ns := newWorld(t)
	release := &corev1.Secret{Type: "helm.sh/release.v1", StringData: map[string]string{"release": canary},
		ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: ns, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
	w.must(w.admin.Create(t.Context(), release))
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: ns}}
	target := w.apply(ns, nil, entry)
	w.run(target)
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonIdentityInvalid || !strings.Contains(ready.Message, "helm.sh/release.v1") || w.mint.count() != 0 {
		t.Errorf("%d calls, Ready: %s: %s", w.mint.count(), ready.Reason, ready.Message)
	}
}
