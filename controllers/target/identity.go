package target

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
	"weak"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
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

// hashed is what the source of an entry depends on, short of a ServiceAccount.
type hashed struct {
	// tenant is the namespace of the credential.
	tenant string
	// entry is the entry as it stands in the cache: what takes its place there is another, whatever version it says that it is.
	entry weak.Pointer[v1alpha1.Registry]
	// namespace, secret and data are of an identity that is a Secret.
	namespace, secret, data string
}

// requestOf is request for an entry as it stands in the spec: what its source is, is worked out once for all targets.
func (r *Reconciler) requestOf(ctx context.Context, c *credential.Credential, entry *v1alpha1.Registry) (providers.Request, error) {
	req, err := r.resolve(ctx, c, entry)
	if err != nil || req.Identity.ServiceAccount != nil {
		return req.Sealed(), err
	}
	of := hashed{tenant: c.Namespace, entry: weak.Make(entry)}
	if s := req.Identity.Secret; s != nil {
		of.namespace, of.secret, of.data = s.Namespace, s.Name, s.DataHash
	}
	source, known := r.sources.Get(of)
	if !known {
		source = req.Sealed().Source()
		r.sources.Put(of, source)
	}
	return req.SealedAs(source), nil
}

// request is what a token of the entry is made from.
func (r *Reconciler) request(ctx context.Context, c *credential.Credential, entry *v1alpha1.Registry) (providers.Request, error) {
	req, err := r.resolve(ctx, c, entry)
	return req.Sealed(), err
}

// resolve resolves the identity of an entry: what it is, for the hash, and how to use it, for the provider.
func (r *Reconciler) resolve(ctx context.Context, c *credential.Credential, entry *v1alpha1.Registry) (providers.Request, error) {
	refresh, _ := c.RefreshRequest()
	req := providers.Request{Registry: *entry, Credential: c.String(), Tenant: c.Namespace, RefreshStamp: pullsecret.Stamp(refresh)}
	namespace := r.identityNamespace(c)
	var err error
	switch ref := entry.Identity; {
	case ref == nil && c.Namespace != "" && !r.AllowAmbientIdentity:
		return req, &providers.Error{Reason: v1alpha1.ReasonAmbientIdentityNotAllowed, Terminal: true, Err: errAmbient}
	case ref == nil:
	case ref.ServiceAccountRef != nil:
		req.Identity.ServiceAccount, err = r.serviceAccount(ctx, client.ObjectKey{Namespace: namespace, Name: ref.ServiceAccountRef.Name}, r.Tokens.Annotations(entry))
	case ref.SecretRef != nil:
		req.Identity.Secret, err = r.identitySecret(ctx, client.ObjectKey{Namespace: namespace, Name: ref.SecretRef.Name}, largestIdentity(entry))
	}
	return req, err
}

// identityNamespace is where identities are. References are names, never namespaces: a RegistryCredential reads its own namespace, a
// cluster-wide one the controller's.
func (r *Reconciler) identityNamespace(c *credential.Credential) string {
	if c.Namespace == "" {
		return r.Namespace
	}
	return c.Namespace
}

var errAmbient = providers.Errorf("", "the entry names no identity, and this controller does not lend its own to a RegistryCredential: "+
	"set identity, use a ClusterRegistryCredential, or ask the administrator for --allow-ambient-identity")

// serviceAccount is an identity with those annotations that its provider reads: any other may change as it likes.
func (r *Reconciler) serviceAccount(ctx context.Context, key client.ObjectKey, read []string) (*providers.ServiceAccount, error) {
	sa := &corev1.ServiceAccount{}
	if err := r.Cache.Get(ctx, key, sa, client.UnsafeDisableDeepCopy); err != nil {
		return nil, identityError(err, "ServiceAccount", key)
	}
	annotations := maps.Clone(sa.Annotations)
	maps.DeleteFunc(annotations, func(name, _ string) bool { return !slices.Contains(read, name) })
	return &providers.ServiceAccount{
		Namespace: key.Namespace, Name: key.Name, UID: sa.UID, Annotations: annotations,
		RequestToken: func(ctx context.Context, audience string, lifetime time.Duration) (string, error) {
			return r.requestToken(ctx, sa, audience, lifetime)
		},
	}, nil
}

func (r *Reconciler) requestToken(ctx context.Context, sa *corev1.ServiceAccount, audience string, lifetime time.Duration) (string, error) {
	seconds := int64(lifetime.Seconds())
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{audience}, ExpirationSeconds: &seconds,
	}}
	// The UID, so that a namesake that has taken the place of this ServiceAccount does not speak for it.
	req.UID = sa.UID
	err := r.Client.SubResource("token").Create(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: sa.Namespace, Name: sa.Name},
	}, req)
	if apierrors.IsForbidden(err) {
		return "", providers.Errorf(v1alpha1.ReasonInternal, "the controller may not ask for a token of ServiceAccount %s/%s with the audience %s: check its RBAC rules, "+
			"and the audiences and namespaces that the admission policy regcred-tokens allows (policies.tokenAudiences in the chart)", sa.Namespace, sa.Name, audience)
	}
	if err != nil {
		return "", identityError(err, "ServiceAccount", client.ObjectKeyFromObject(sa))
	}
	return req.Status.Token, nil
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

func identityError(err error, kind string, key client.ObjectKey) error {
	switch {
	case apierrors.IsNotFound(err):
		return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "%s %s does not exist: create it, or correct identity", kind, key)
	case apierrors.IsForbidden(err):
		return providers.Errorf(v1alpha1.ReasonInternal, "the controller may not use %s %s: check its RBAC rules, and --secret-names if it is set", kind, key)
	case apierrors.IsConflict(err):
		return providers.Errorf(v1alpha1.ReasonUnavailable, "%s %s has been replaced just now; it is tried again", kind, key)
	default:
		e := providers.Errorf(v1alpha1.ReasonUnavailable, "%s %s could not be read: the API server returned an error or did not answer; it is tried again", kind, key)
		e.Scope = providers.ScopeKubernetes
		return e
	}
}
