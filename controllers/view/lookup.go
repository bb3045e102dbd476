package view

import (
	"context"
	"errors"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// Secret reads the metadata of a target's Secret, which are shared and read-only; nil if there is none.
func Secret(ctx context.Context, from client.Reader, t credential.Target) (*metav1.PartialObjectMetadata, error) {
	m := SecretMetadata()
	if err := from.Get(ctx, t.Secret(), m, client.UnsafeDisableDeepCopy); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return m, nil
}

// Namespace reads a namespace, which is shared and read-only; nil if there is none or it is being deleted.
func Namespace(ctx context.Context, from client.Reader, name string) (client.Object, error) {
	ns := NamespaceMetadata()
	err := from.Get(ctx, client.ObjectKey{Name: name}, ns, client.UnsafeDisableDeepCopy)
	if err != nil || !ns.DeletionTimestamp.IsZero() {
		return nil, client.IgnoreNotFound(err)
	}
	return ns, nil
}

// Credentials lists the cluster-wide credentials and, if a namespace is given, those in it.
func Credentials(ctx context.Context, from client.Reader, namespace string) ([]*credential.Credential, error) {
	var all []*credential.Credential
	add := func(o client.Object) {
		if c, err := credential.Of(o); err == nil {
			all = append(all, c)
		}
	}
	cluster := &v1alpha1.ClusterRegistryCredentialList{}
	if err := List(ctx, from, cluster); err != nil {
		return nil, err
	}
	for i := range cluster.Items {
		add(&cluster.Items[i])
	}
	if namespace != "" {
		own := &v1alpha1.RegistryCredentialList{}
		if err := List(ctx, from, own, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
		for i := range own.Items {
			add(&own.Items[i])
		}
	}
	return all, nil
}

// Targets returns every target that the credential has or had; with an error, those that could be found.
func Targets(ctx context.Context, from client.Reader, o client.Object) ([]credential.Target, error) {
	key, found := credential.KeyOf(o), map[credential.Target]struct{}{}
	var failed []error
	if c, err := credential.Of(o); err == nil {
		namespaces, err := selected(ctx, from, c)
		failed = append(failed, err)
		for _, namespace := range namespaces {
			found[c.Target(namespace)] = struct{}{}
		}
	}
	indexed := client.MatchingFields{IndexCredential: credentialIndexed(key)}
	secrets := MetadataList(KindSecret)
	failed = append(failed, List(ctx, from, secrets, indexed))
	for i := range secrets.Items {
		if t, ok := credential.TargetOf(&secrets.Items[i]); ok {
			found[t] = struct{}{}
		}
	}
	accounts := &corev1.ServiceAccountList{}
	failed = append(failed, List(ctx, from, accounts, indexed))
	for i := range accounts.Items {
		for _, t := range credential.Linked(&accounts.Items[i]) {
			if t.Credential == key {
				found[t] = struct{}{}
			}
		}
	}
	return slices.Collect(maps.Keys(found)), errors.Join(failed...)
}

// selected are the namespaces that the credential is for, whether or not they are excluded.
func selected(ctx context.Context, from client.Reader, c *credential.Credential) ([]string, error) {
	if c.Namespace != "" {
		return []string{c.Namespace}, nil
	}
	var names []string
	err := Namespaces(ctx, from, func(ns *metav1.PartialObjectMetadata) {
		if c.Selects(ns) {
			names = append(names, ns.Name)
		}
	})
	return names, err
}

// List reads from a cache, which fails only for what Options does not plan. The result is shared and read-only.
func List(ctx context.Context, from client.Reader, list client.ObjectList, opts ...client.ListOption) error {
	return from.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...)
}
