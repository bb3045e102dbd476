package view

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
)

// IndexCredential indexes Secrets by the credential that keeps them, and ServiceAccounts by those that link them: by credentialIndexed.
const IndexCredential = "credential"

// Prepare asks for every informer before the manager starts, so that all of them are filled before the first reconcile.
func (v *Caches) Prepare(ctx context.Context) error {
	for _, o := range v.Kinds() {
		if _, err := v.GetInformer(ctx, o); err != nil {
			return err
		}
	}
	accounts, err := v.GetInformer(ctx, &corev1.ServiceAccount{})
	if err != nil {
		return err
	}
	v.held.accounts = indexerOf(accounts)
	if !v.Confined() {
		namespaces, err := v.GetInformer(ctx, NamespaceMetadata())
		if err != nil {
			return err
		}
		v.held.namespaces = indexerOf(namespaces)
	}
	for _, c := range v.SecretCaches() {
		if _, err := c.GetInformer(ctx, SecretMetadata()); err != nil {
			return err
		}
		if err := c.IndexField(ctx, SecretMetadata(), IndexCredential, indexSecret); err != nil {
			return err
		}
	}
	return v.IndexField(ctx, &corev1.ServiceAccount{}, IndexCredential, indexServiceAccount)
}

// credentialIndexed is a credential's value in an index. It has its own namespace, as an informer's index has none.
func credentialIndexed(key credential.Key) string { return key.Namespace + "/" + key.Ref() }

func indexSecret(o client.Object) []string {
	if t, ok := credential.TargetOf(o); ok {
		return []string{credentialIndexed(t.Credential)}
	}
	return nil
}

func indexServiceAccount(o client.Object) []string {
	var keys []string
	for _, t := range credential.Linked(o) {
		keys = append(keys, credentialIndexed(t.Credential))
	}
	return keys
}
