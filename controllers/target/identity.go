package target

import (
	"context"
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
	"github.com/regcred/regcred/providers"
)

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
