package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
)

// mapping finds the targets that an event concerns, and no others.
type mapping struct {
	cache client.Reader
	// namespace is the controller's own, where the identities of cluster-wide credentials are.
	namespace string
}

func itself(_ context.Context, o client.Object) []Key { return []Key{keyOf(o)} }

// fromCredential returns every target that the credential has or had.
func (m mapping) fromCredential(ctx context.Context, o client.Object) []Target {
	key := keyOf(o)
	if key.Namespace != "" {
		return []Target{{key, key.Namespace}}
	}
	namespaces := map[string]struct{}{}
	if c, err := credentialOf(o); err == nil {
		list := metadataList("Namespace")
		m.list(ctx, list)
		for i := range list.Items {
			if c.selects(&list.Items[i]) {
				namespaces[list.Items[i].Name] = struct{}{}
			}
		}
	}
	secrets := metadataList("Secret")
	m.list(ctx, secrets, client.MatchingFields{indexCredential: indexOf(key)})
	for i := range secrets.Items {
		namespaces[secrets.Items[i].Namespace] = struct{}{}
	}
	accounts := &corev1.ServiceAccountList{}
	m.list(ctx, accounts, client.MatchingFields{indexCredential: indexOf(key)})
	for i := range accounts.Items {
		namespaces[accounts.Items[i].Namespace] = struct{}{}
	}
	targets := make([]Target, 0, len(namespaces))
	for namespace := range namespaces {
		targets = append(targets, Target{key, namespace})
	}
	return targets
}

// fromNamespace returns the targets of the cluster-wide credentials that select the namespace. The event of an update is mapped for
// the namespace as it was, too, and so finds those that select it no longer.
func (m mapping) fromNamespace(ctx context.Context, o client.Object) []Target {
	var targets []Target
	for _, c := range m.credentials(ctx, "") {
		if c.selects(o) {
			targets = append(targets, Target{c.Key, o.GetName()})
		}
	}
	own := &v1alpha1.RegistryCredentialList{}
	m.list(ctx, own, client.InNamespace(o.GetName()))
	for i := range own.Items {
		targets = append(targets, Target{keyOf(&own.Items[i]), o.GetName()})
	}
	return targets
}

// fromSecret returns the target that the Secret is, or the targets whose identity it is.
func (m mapping) fromSecret(ctx context.Context, o client.Object) []Target {
	if o.GetLabels()[v1alpha1.LabelSecret] == v1alpha1.LabelSecretIdentity {
		return m.fromIdentity(ctx, o, secretRef)
	}
	return targetsOf(o)
}

// fromServiceAccount returns the targets whose link the ServiceAccount has or should have, and those whose identity it is.
func (m mapping) fromServiceAccount(ctx context.Context, o client.Object) []Target {
	targets := m.fromIdentity(ctx, o, serviceAccountRef)
	for _, c := range m.credentials(ctx, o.GetNamespace()) {
		if wanted, err := c.links(o); err == nil && wanted {
			targets = append(targets, Target{c.Key, o.GetNamespace()})
		}
	}
	for _, index := range indexServiceAccount(o) {
		targets = append(targets, Target{keyFromIndex(index, o.GetNamespace()), o.GetNamespace()})
	}
	return targets
}

func (m mapping) fromIdentity(ctx context.Context, o client.Object, ref func(v1alpha1.Identity) *v1alpha1.LocalReference) []Target {
	var targets []Target
	for _, c := range m.credentials(ctx, o.GetNamespace()) {
		if c.Namespace == "" && o.GetNamespace() != m.namespace {
			continue
		}
		if c.identifiesAs(ref, o.GetName()) {
			targets = append(targets, m.fromCredential(ctx, c.object)...)
		}
	}
	return targets
}

// credentials lists the cluster-wide credentials and, if a namespace is given, those in it.
func (m mapping) credentials(ctx context.Context, namespace string) []*credential {
	var all []*credential
	add := func(o client.Object) {
		if c, err := credentialOf(o); err == nil {
			all = append(all, c)
		}
	}
	cluster := &v1alpha1.ClusterRegistryCredentialList{}
	m.list(ctx, cluster)
	for i := range cluster.Items {
		add(&cluster.Items[i])
	}
	if namespace != "" {
		own := &v1alpha1.RegistryCredentialList{}
		m.list(ctx, own, client.InNamespace(namespace))
		for i := range own.Items {
			add(&own.Items[i])
		}
	}
	return all
}

// list reads from the cache, which fails only for what CacheOptions does not plan. The result is shared and read-only.
func (m mapping) list(ctx context.Context, list client.ObjectList, opts ...client.ListOption) {
	if err := m.cache.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		log.FromContext(ctx).Error(err, "Reading the cache failed")
	}
}

// indexCredential indexes Secrets by the credential that keeps them, and ServiceAccounts by those that link them.
const indexCredential = "credential"

func indexOf(key Key) string { return key.Kind() + "/" + key.Name }

func keyFromIndex(index, namespace string) Key {
	kind, name, _ := strings.Cut(index, "/")
	if kind == v1alpha1.KindClusterRegistryCredential {
		namespace = ""
	}
	return Key{Namespace: namespace, Name: name}
}

func indexSecret(o client.Object) []string {
	var keys []string
	for _, t := range targetsOf(o) {
		keys = append(keys, indexOf(t.Credential))
	}
	return keys
}

func indexServiceAccount(o client.Object) []string {
	var keys []string
	for annotation, kind := range o.GetAnnotations() {
		if name, ok := strings.CutPrefix(annotation, v1alpha1.AnnotationLinkPrefix); ok {
			keys = append(keys, kind+"/"+name)
		}
	}
	return keys
}

// targetsOf returns the target that a Secret is.
func targetsOf(secret client.Object) []Target {
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.APIVersion != v1alpha1.GroupVersion.String() || owner.Name != secret.GetName() {
		return nil
	}
	return []Target{{keyFromIndex(owner.Kind+"/"+owner.Name, secret.GetNamespace()), secret.GetNamespace()}}
}

func samePullSecrets(a, b client.Object) bool {
	before, ok := a.(*corev1.ServiceAccount)
	after, also := b.(*corev1.ServiceAccount)
	return ok && also && slices.Equal(before.ImagePullSecrets, after.ImagePullSecrets)
}
