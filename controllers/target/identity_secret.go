package target

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
)

const (
	// missingSecret is how long a Secret without the label of an identity is not looked at again; with it, the watch tells at once.
	missingSecret = 30 * time.Second
	// identityHashFor is how long what stands for the content of a version is remembered.
	identityHashFor = 7 * 24 * time.Hour
)

// noIdentity is why a Secret that is not watched is none, and when that was found.
type noIdentity struct {
	at  time.Time
	err error
}

// identitySecret is an identity whose data is at most so many bytes.
func (r *Reconciler) identitySecret(ctx context.Context, key client.ObjectKey, most int) (*providers.Secret, error) {
	version, err := r.secretVersion(ctx, key)
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return nil, known
	}
	if err != nil {
		return nil, identityError(err, "Secret", key)
	}
	version.Data = func(ctx context.Context) (map[string][]byte, error) {
		secret, release, err := r.readWhole(ctx, key)
		if err != nil {
			return nil, identityError(err, "Secret", key)
		}
		if most > maxIdentity {
			context.AfterFunc(ctx, release) // the call that it is read for holds it
		} else {
			defer release()
		}
		if err := lendable(secret); err != nil {
			return nil, err
		}
		return secret.Data, fits(secret, most)
	}
	return &version, nil
}

// notLendable are the types of Secrets that hold other credentials than those of registries: sent where an entry says, they would give away
// what whoever writes the entry may not read.
var notLendable = []corev1.SecretType{corev1.SecretTypeServiceAccountToken, corev1.SecretTypeBootstrapToken, "helm.sh/release.v1"}

// lendable says why a Secret is no identity: its owner has not marked it as one, or it is of a kind that never is.
func lendable(secret *corev1.Secret) error {
	if slices.Contains(notLendable, secret.Type) {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "Secret %s is of type %s, which holds no login of a registry: let identity name another",
			client.ObjectKeyFromObject(secret), secret.Type)
	}
	if secret.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretIdentity {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "Secret %s is not marked as an identity by its owner: kubectl label secret -n %s %s %s=%s --overwrite",
			client.ObjectKeyFromObject(secret), secret.Namespace, secret.Name, v1alpha1.LabelSecret, v1alpha1.LabelSecretIdentity)
	}
	return nil
}

// Content stands for what a Secret holds as an identity; empty if that is not known. It costs one request for each of its versions, which those
// that use it share.
func (r *Reconciler) Content(ctx context.Context, key client.ObjectKey) string {
	version, err := r.secretVersion(ctx, key)
	if failure, ok := errors.AsType[*providers.Error](err); ok && failure.Reason == v1alpha1.ReasonIdentityInvalid {
		return failure.Error()
	}
	return version.DataHash
}

// identityHash stands for a Secret's content, as it was in one version: by a hash, or by why it is no identity.
type identityHash struct {
	version string
	hash    string
	err     error
}

// secretVersion costs one request for each version of a Secret with our label, whatever its value, and one in half a minute for any other.
func (r *Reconciler) secretVersion(ctx context.Context, key client.ObjectKey) (providers.Secret, error) {
	m := view.SecretMetadata()
	err := r.Cache.Get(ctx, key, m, client.UnsafeDisableDeepCopy)
	if !apierrors.IsNotFound(err) {
		r.identities.Delete(key)
		if err != nil {
			return providers.Secret{}, err
		}
		known, ok := r.identityHashes.Get(key)
		if !ok || known.version != versionName(m) {
			known = r.readIdentity(ctx, key, m.ResourceVersion)
		}
		return providers.Secret{Namespace: key.Namespace, Name: key.Name, DataHash: known.hash}, known.err
	}
	if last, ok := r.identities.Get(key); ok {
		return providers.Secret{}, last.err
	}
	found := r.readIdentity(ctx, key, "")
	if found.err != nil {
		r.identities.Put(key, noIdentity{at: r.Clock.Now(), err: found.err})
	}
	return providers.Secret{Namespace: key.Namespace, Name: key.Name, DataHash: found.hash}, found.err
}

// readIdentity reads a Secret for what stands for its content, which is remembered. Its metadata may change as they like. All who ask at the
// same time, and have seen the same version, share the request.
func (r *Reconciler) readIdentity(ctx context.Context, key client.ObjectKey, seen string) identityHash {
	found, err, _ := r.reading.Do(key.String()+" "+seen, func() (any, error) {
		secret, release, err := r.readWhole(ctx, key)
		if err != nil {
			return nil, err
		}
		defer release()
		c := identityHash{version: versionName(secret), err: lendable(secret)}
		if c.err == nil {
			c.hash = providers.HashData(secret.Data)
		}
		r.identityHashes.Put(key, c)
		return c, nil
	})
	if err != nil {
		return identityHash{err: err}
	}
	return found.(identityHash)
}

// versionName names one version of a Secret.
func versionName(secret client.Object) string {
	return string(secret.GetUID()) + "/" + secret.GetResourceVersion()
}

// recheckIn is when an identity that is not watched must be looked at again; 0 for never.
func (r *Reconciler) recheckIn(c *credential.Credential, entry *v1alpha1.Registry) time.Duration {
	if entry.Identity == nil || entry.Identity.SecretRef == nil {
		return 0
	}
	last, ok := r.identities.Get(client.ObjectKey{Namespace: r.identityNamespace(c), Name: entry.Identity.SecretRef.Name})
	if !ok {
		return 0
	}
	return max(missingSecret-r.Clock.Since(last.at), soon)
}
