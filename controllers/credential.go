package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Key names a credential of either kind: a ClusterRegistryCredential has no namespace.
type Key struct {
	Namespace, Name string
}

func keyOf(o client.Object) Key { return Key{Namespace: o.GetNamespace(), Name: o.GetName()} }

// Kind is the kind of the credential.
func (k Key) Kind() string {
	if k.Namespace == "" {
		return v1alpha1.KindClusterRegistryCredential
	}
	return v1alpha1.KindRegistryCredential
}

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Kind() + " " + k.Name
	}
	return k.Kind() + " " + k.Namespace + "/" + k.Name
}

// Target is one Secret in one namespace that a credential keeps. It is the unit of work: one bad namespace delays no other.
type Target struct {
	Credential Key
	Namespace  string
}

func (t Target) secret() client.ObjectKey {
	return client.ObjectKey{Namespace: t.Namespace, Name: t.Credential.Name}
}

// credential is what both kinds have in common. It is read-only.
type credential struct {
	Key
	object     client.Object
	spec       *v1alpha1.CredentialSpec
	namespaces labels.Selector
}

func credentialOf(o client.Object) (*credential, error) {
	c := &credential{Key: keyOf(o), object: o}
	switch o := o.(type) {
	case *v1alpha1.RegistryCredential:
		c.spec = &o.Spec
	case *v1alpha1.ClusterRegistryCredential:
		c.spec = &o.Spec.CredentialSpec
		selector, err := o.Spec.NamespaceSelector.Selector()
		if err != nil {
			return nil, fmt.Errorf("namespaceSelector of %s: %w", c.Key, err)
		}
		c.namespaces = selector
	default:
		return nil, fmt.Errorf("%T is not a credential", o)
	}
	return c, nil
}

// getCredential reads a credential; nil if there is none or it is being deleted.
func getCredential(ctx context.Context, r client.Reader, key Key) (*credential, error) {
	var o client.Object = &v1alpha1.RegistryCredential{}
	if key.Namespace == "" {
		o = &v1alpha1.ClusterRegistryCredential{}
	}
	err := r.Get(ctx, client.ObjectKey(key), o)
	if err != nil || !o.GetDeletionTimestamp().IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	return credentialOf(o)
}

// selects says whether the namespace is to hold the credential's Secret.
func (c *credential) selects(ns metav1.Object) bool {
	if c.namespaces == nil {
		return ns.GetName() == c.Namespace
	}
	return c.namespaces.Matches(labels.Set(ns.GetLabels()))
}

// links says whether the ServiceAccount is to name the credential's Secret.
func (c *credential) links(sa metav1.Object) (bool, error) {
	wanted := c.spec.ServiceAccounts
	switch {
	case wanted == nil:
		return false, nil
	case wanted.Selector != nil:
		selector, err := wanted.Selector.Selector()
		if err != nil {
			return false, fmt.Errorf("serviceAccounts.selector of %s: %w", c.Key, err)
		}
		return selector.Matches(labels.Set(sa.GetLabels())), nil
	}
	for _, name := range wanted.Names {
		if name == sa.GetName() {
			return true, nil
		}
	}
	return false, nil
}

// identifiesAs says whether an entry of the credential names the ServiceAccount or Secret as its identity.
func (c *credential) identifiesAs(identity func(v1alpha1.Identity) *v1alpha1.LocalReference, name string) bool {
	for _, entry := range c.spec.Registries {
		if entry.Identity == nil {
			continue
		}
		if ref := identity(*entry.Identity); ref != nil && ref.Name == name {
			return true
		}
	}
	return false
}

func serviceAccountRef(i v1alpha1.Identity) *v1alpha1.LocalReference { return i.ServiceAccountRef }
func secretRef(i v1alpha1.Identity) *v1alpha1.LocalReference         { return i.SecretRef }
