package view

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Caches reads the caches, as far as the scope goes, so that nobody else need know that there is one.
type Caches struct {
	cache.Cache
	Scope

	// secrets are the caches of the Secrets of one name each: RBAC authorises a list and a watch by resourceNames only if the field
	// selector asks for one name.
	secrets map[string]cache.Cache
	held    held
}

// New makes the manager fill what the scope needs.
func New(mgr manager.Manager, scope Scope) (*Caches, error) {
	v := &Caches{Cache: mgr.GetCache(), Scope: scope, secrets: map[string]cache.Cache{}}
	for _, name := range sets.List(scope.SecretNames) {
		options := scope.CacheOptions()
		options.HTTPClient, options.Scheme, options.Mapper = mgr.GetHTTPClient(), mgr.GetScheme(), mgr.GetRESTMapper()
		options.ByObject = map[client.Object]cache.ByObject{}
		for o, by := range Options(scope.Annotations).ByObject {
			if o.GetObjectKind().GroupVersionKind().Kind == KindSecret {
				by.Field = fields.OneTermEqualSelector(metav1.ObjectNameField, name)
				options.ByObject[o] = by
			}
		}
		c, err := cache.New(mgr.GetConfig(), options)
		if err != nil {
			return nil, err
		}
		if err := mgr.Add(startedWithCaches{c}); err != nil {
			return nil, err
		}
		v.secrets[name] = c
	}
	return v, nil
}

// startedWithCaches makes the manager start a cache with its own, before any controller.
type startedWithCaches struct{ cache.Cache }

// GetCache is what the manager tells caches by.
func (s startedWithCaches) GetCache() cache.Cache { return s.Cache }

// SecretCaches are the caches that hold Secrets.
func (v *Caches) SecretCaches() []cache.Cache {
	if !v.named() {
		return []cache.Cache{v.Cache}
	}
	all := make([]cache.Cache, 0, len(v.secrets))
	for _, name := range sets.List(v.SecretNames) {
		all = append(all, v.secrets[name])
	}
	return all
}

// WaitForCacheSync waits for all of them.
func (v *Caches) WaitForCacheSync(ctx context.Context) bool {
	return !slices.ContainsFunc(append(v.SecretCaches(), v.Cache), func(c cache.Cache) bool { return !c.WaitForCacheSync(ctx) })
}

// Get implements client.Reader.
func (v *Caches) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	switch kind := kindOf(o); {
	case kind == KindSecret && v.named():
		c, ok := v.secrets[key.Name]
		if !ok {
			return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
		}
		return c.Get(ctx, key, o, opts...)
	case kind == KindNamespace && v.Confined():
		// It is said to be there, without labels. If it is not, the API server will say so at the first write.
		if !v.Namespaces.Has(key.Name) {
			return apierrors.NewNotFound(corev1.Resource("namespaces"), key.Name)
		}
		o.SetName(key.Name)
		return nil
	case kind == v1alpha1.KindClusterRegistryCredential && v.Confined():
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("clusterregistrycredentials").GroupResource(), key.Name)
	default:
		return v.Cache.Get(ctx, key, o, opts...)
	}
}

// List implements client.Reader.
func (v *Caches) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch kind := kindOf(list); {
	case kind == KindSecret+"List" && v.named():
		all := list.(*metav1.PartialObjectMetadataList)
		all.Items = nil
		for _, c := range v.SecretCaches() {
			part := MetadataList(KindSecret)
			if err := c.List(ctx, part, opts...); err != nil {
				return err
			}
			all.Items = append(all.Items, part.Items...)
		}
		return nil
	case (kind == KindNamespace+"List" || kind == v1alpha1.KindClusterRegistryCredential+"List") && v.Confined():
		return nil // nothing that is cluster-scoped is seen
	default:
		return v.Cache.List(ctx, list, opts...)
	}
}

// kindOf knows the kinds that the scope limits.
func kindOf(o any) string {
	switch o := o.(type) {
	case *v1alpha1.ClusterRegistryCredential:
		return v1alpha1.KindClusterRegistryCredential
	case *v1alpha1.ClusterRegistryCredentialList:
		return v1alpha1.KindClusterRegistryCredential + "List"
	case *metav1.PartialObjectMetadata:
		return o.Kind
	case *metav1.PartialObjectMetadataList:
		return o.Kind
	default:
		return ""
	}
}
