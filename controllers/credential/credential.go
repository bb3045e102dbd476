// Package credential says what a credential of either kind is, whom it wants served, and how it fails.
package credential

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Key names a credential of either kind: a ClusterRegistryCredential has no namespace.
type Key struct {
	Namespace, Name string
}

// KeyOf is the key of an object that is a credential.
func KeyOf(o client.Object) Key { return Key{Namespace: o.GetNamespace(), Name: o.GetName()} }

// Kind is the kind of the credential.
func (k Key) Kind() string {
	if k.Namespace == "" {
		return v1alpha1.KindClusterRegistryCredential
	}
	return v1alpha1.KindRegistryCredential
}

// Ref names the credential among those of one namespace, as annotations do: Kind/name.
func (k Key) Ref() string { return k.Kind() + "/" + k.Name }

// keyIn is what a kind and a name mean in a namespace; ok is whether they can be a credential's.
func keyIn(namespace, kind, name string) (key Key, ok bool) {
	switch kind {
	case v1alpha1.KindClusterRegistryCredential:
		return Key{Name: name}, name != ""
	case v1alpha1.KindRegistryCredential:
		return Key{Namespace: namespace, Name: name}, name != ""
	}
	return Key{}, false
}

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind() + " " + k.Name
	}
	return k.Kind() + " " + k.Namespace + "/" + k.Name
}

// Owner is the credential as whoever keeps tokens knows it.
func (k Key) Owner() providers.Owner { return providers.Owner{Tenant: k.Namespace, Name: k.Name} }

// Target is one Secret in one namespace that a credential keeps, or has kept under another name before it was deleted and created anew. It is
// the unit of work: one bad namespace delays no other.
type Target struct {
	Credential Key
	Namespace  string
	// Name is the Secret's.
	Name string
}

// Secret names the Secret.
func (t Target) Secret() client.ObjectKey {
	return client.ObjectKey{Namespace: t.Namespace, Name: t.Name}
}

// Credential is what both kinds have in common. It is read-only.
type Credential struct {
	Key
	Object     client.Object
	Spec       *v1alpha1.CredentialSpec
	namespaces *v1alpha1.Selector
}

// Of reads a credential of either kind.
func Of(o client.Object) (*Credential, error) {
	c := &Credential{Key: KeyOf(o), Object: o}
	switch o := o.(type) {
	case *v1alpha1.RegistryCredential:
		c.Spec = &o.Spec
	case *v1alpha1.ClusterRegistryCredential:
		c.Spec, c.namespaces = &o.Spec.CredentialSpec, &o.Spec.NamespaceSelector
	default:
		return nil, fmt.Errorf("%T is not a credential", o)
	}
	return c, nil
}

// Gone is what events say of a credential that is no more.
func Gone(key Key, uid types.UID, secretName string) *Credential {
	meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: uid}
	spec := &v1alpha1.CredentialSpec{SecretName: secretName}
	if key.Namespace == "" {
		return &Credential{Key: key, Spec: spec, Object: &v1alpha1.ClusterRegistryCredential{ObjectMeta: meta}}
	}
	return &Credential{Key: key, Spec: spec, Object: &v1alpha1.RegistryCredential{ObjectMeta: meta}}
}

// Get reads a credential, which is shared and read-only; nil if there is none or it is being deleted.
func Get(ctx context.Context, r client.Reader, key Key) (*Credential, error) {
	var o client.Object = &v1alpha1.RegistryCredential{}
	if key.Namespace == "" {
		o = &v1alpha1.ClusterRegistryCredential{}
	}
	err := r.Get(ctx, client.ObjectKey(key), o, client.UnsafeDisableDeepCopy)
	if err != nil || !o.GetDeletionTimestamp().IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	return Of(o)
}

// SecretName is the name of the Secret that it keeps in each of its namespaces.
func (c *Credential) SecretName() string { return c.Spec.NameOfSecret(c.Name) }

// Target is its target in a namespace.
func (c *Credential) Target(namespace string) Target {
	return Target{Credential: c.Key, Namespace: namespace, Name: c.SecretName()}
}

// MaxRefreshRequest is the longest refresh request that counts, in bytes; status shows it.
const MaxRefreshRequest = 64

// RefreshRequest is the refresh request that stands on the credential, and whether there is one that is too long to count.
func (c *Credential) RefreshRequest() (value string, tooLong bool) {
	value = c.Object.GetAnnotations()[v1alpha1.AnnotationRefreshRequestedAt]
	if len(value) > MaxRefreshRequest {
		return "", true
	}
	return value, false
}

// Before says whether it comes before another credential that wants the same Secret: the older one does.
func (c *Credential) Before(other *Credential) bool {
	a, b := c.Object.GetCreationTimestamp(), other.Object.GetCreationTimestamp()
	if !a.Equal(&b) {
		return a.Before(&b)
	}
	return c.Object.GetUID() < other.Object.GetUID()
}

// Selects says whether the namespace is to hold the credential's Secret.
func (c *Credential) Selects(ns metav1.Object) bool {
	if c.namespaces == nil {
		return ns.GetName() == c.Namespace
	}
	return c.namespaces.Matches(namespaceLabels{ns})
}

// namespaceLabels are the labels of a namespace. Its name is one of them, and is not held for that.
type namespaceLabels struct{ namespace metav1.Object }

func (l namespaceLabels) Lookup(key string) (string, bool) {
	if key == corev1.LabelMetadataName {
		return l.namespace.GetName(), true
	}
	value, ok := l.namespace.GetLabels()[key]
	return value, ok
}

func (l namespaceLabels) Has(key string) bool {
	_, ok := l.Lookup(key)
	return ok
}

func (l namespaceLabels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// Links says whether the ServiceAccount is to name the credential's Secret.
func (c *Credential) Links(sa metav1.Object) bool {
	wanted := c.Spec.ServiceAccounts
	switch {
	case wanted == nil:
		return false
	case wanted.Selector != nil:
		return wanted.Selector.Matches(labels.Set(sa.GetLabels()))
	}
	return slices.Contains(wanted.Names, sa.GetName())
}

// Entry returns the registry entry of that name; nil if there is none.
func (c *Credential) Entry(name string) *v1alpha1.Registry {
	for i := range c.Spec.Registries {
		if entry := &c.Spec.Registries[i]; entry.Name == name {
			return entry
		}
	}
	return nil
}

// Uses says whether an entry of the credential uses the object of that name, of the kind that uses is about.
func (c *Credential) Uses(uses func(entry *v1alpha1.Registry, name string) bool, name string) bool {
	return slices.ContainsFunc(c.Spec.Registries, func(entry v1alpha1.Registry) bool { return uses(&entry, name) })
}

// AsServiceAccount says whether the entry's token is asked for by the ServiceAccount of that name.
func AsServiceAccount(entry *v1alpha1.Registry, name string) bool {
	return entry.Identity != nil && isNamed(entry.Identity.ServiceAccountRef, name)
}

// WithSecret says whether the entry's token is asked for with the Secret of that name, or its login by hand is there.
func WithSecret(entry *v1alpha1.Registry, name string) bool {
	return entry.Identity != nil && isNamed(entry.Identity.SecretRef, name) || entry.Override != nil && entry.Override.SecretRef.Name == name
}

func isNamed(ref *v1alpha1.LocalReference, name string) bool { return ref != nil && ref.Name == name }
