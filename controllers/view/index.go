package view

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

const (
	// IndexCredential indexes Secrets by the credential that keeps them, and ServiceAccounts by those that link them: by credentialIndexed.
	IndexCredential = "credential"
	// IndexToken indexes Secrets by the tokens in them that can be revoked.
	IndexToken = "token"
)

// Prepare asks for every informer before the manager starts, so that all of them are filled before the first reconcile.
func (v *Caches) Prepare(ctx context.Context) error {
	objects := append(v.Credentials(), &corev1.ServiceAccount{})
	if !v.Confined() {
		objects = append(objects, NamespaceMetadata())
	}
	for _, o := range objects {
		if _, err := v.GetInformer(ctx, o); err != nil {
			return err
		}
	}
	for _, c := range v.SecretCaches() {
		if _, err := c.GetInformer(ctx, SecretMetadata()); err != nil {
			return err
		}
		if err := c.IndexField(ctx, SecretMetadata(), IndexCredential, indexSecret); err != nil {
			return err
		}
		if err := c.IndexField(ctx, SecretMetadata(), IndexToken, func(o client.Object) []string { return pullsecret.TokenNames(o) }); err != nil {
			return err
		}
	}
	return v.IndexField(ctx, &corev1.ServiceAccount{}, IndexCredential, indexServiceAccount)
}

// HoldsToken says whether a Secret holds the token of this name.
func HoldsToken(ctx context.Context, cache client.Reader, name string) (bool, error) {
	holders := MetadataList(KindSecret)
	err := cache.List(ctx, holders, client.MatchingFields{IndexToken: name}, client.UnsafeDisableDeepCopy, client.Limit(1))
	return len(holders.Items) > 0, err
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
