package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// What is kept of objects that tenants write is bounded: the API server takes 256 KiB of annotations, and any number of labels.
const (
	maxLabels      = 16 << 10 // bytes in all: an object with more is selected by no label
	maxAnnotation  = 2 << 10  // bytes of one value: an ARN or a client ID is far shorter
	maxLinks       = 64       // records of links on one ServiceAccount
	maxPullSecrets = 1000     // names on one ServiceAccount
	maxPullBytes   = 16 << 10 // of these names in all: the API server does not ask whether they can be names
	maxShared      = 4 << 10  // bytes of one value that is shared
	maxSharedBytes = 1 << 20  // of all that are shared of a kind
)

// transforms keep what is read of objects, and no more.
type transforms struct {
	// annotations of ServiceAccounts are read by providers.
	annotations sets.Set[string]
	maps        shared[map[string]string]
	owners      shared[[]metav1.OwnerReference]
	names       shared[string]
}

var secretType, namespaceType = SecretMetadata().TypeMeta, NamespaceMetadata().TypeMeta

// secret keeps what is ours, and of managedFields only who owns what of the data: that is how tampering is noticed.
func (t *transforms) secret(o any) (any, error) {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return o, nil
	}
	m.TypeMeta = secretType
	pullsecret.Trim(m)
	m.OwnerReferences = t.owners.of(keyOfOwners(m.OwnerReferences), m.OwnerReferences)
	t.share(&m.ObjectMeta)
	return m, nil
}

func (t *transforms) namespace(o any) (any, error) {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok {
		m.TypeMeta, m.ManagedFields, m.Annotations, m.OwnerReferences = namespaceType, nil, nil, nil
		// It is the name, as the API server sees to (credential.Selects knows): a map for each namespace would take more memory than all else of it.
		delete(m.Labels, corev1.LabelMetadataName)
		t.share(&m.ObjectMeta)
	}
	return o, nil
}

// serviceAccount keeps the records of links and what providers read.
func (t *transforms) serviceAccount(o any) (any, error) {
	sa, ok := o.(*corev1.ServiceAccount)
	if !ok {
		return o, nil
	}
	sa.ManagedFields, sa.Secrets, sa.OwnerReferences = nil, nil, nil
	maps.DeleteFunc(sa.Annotations, func(key, value string) bool {
		_, link := credential.LinkOf(sa.Namespace, key, value)
		// An object may come here twice, with our marks.
		wanted := link || t.annotations.Has(key) || key == credential.AnnotationCut || key == credential.AnnotationCrowded
		return len(value) > maxAnnotation || !wanted
	})
	if cutLinks(sa.Annotations) {
		metav1.SetMetaDataAnnotation(&sa.ObjectMeta, credential.AnnotationCrowded, "true")
	}
	if tooLong(sa.ImagePullSecrets) {
		sa.ImagePullSecrets = nil
		metav1.SetMetaDataAnnotation(&sa.ObjectMeta, credential.AnnotationCut, "true")
	}
	for i := range sa.ImagePullSecrets {
		sa.ImagePullSecrets[i].Name = t.name(sa.ImagePullSecrets[i].Name)
	}
	t.share(&sa.ObjectMeta)
	return sa, nil
}

// tooLong says whether a list of pull secrets is more than is held of one ServiceAccount.
func tooLong(secrets []corev1.LocalObjectReference) bool {
	total := 0
	for _, s := range secrets {
		total += len(s.Name)
	}
	return len(secrets) > maxPullSecrets || total > maxPullBytes
}

// cutLinks drops what is more than a ServiceAccount can have of links, as each is a target, and says whether that is any.
func cutLinks(annotations map[string]string) bool {
	links := slices.DeleteFunc(slices.Sorted(maps.Keys(annotations)), func(key string) bool { return !strings.HasPrefix(key, v1alpha1.AnnotationLinkPrefix) })
	more := links[min(len(links), maxLinks):]
	for _, key := range more {
		delete(annotations, key)
	}
	return len(more) > 0
}

// other keeps of a credential's metadata the refresh request alone.
func (t *transforms) other(o any) (any, error) {
	var meta *metav1.ObjectMeta
	switch c := o.(type) {
	case *v1alpha1.RegistryCredential:
		meta = &c.ObjectMeta
	case *v1alpha1.ClusterRegistryCredential:
		meta = &c.ObjectMeta
	default:
		return cache.TransformStripManagedFields()(o)
	}
	meta.ManagedFields, meta.OwnerReferences, meta.Labels = nil, nil, nil
	meta.GenerateName, meta.Finalizers = "", nil // the API server asks how long a finalizer is, and not how many there are
	maps.DeleteFunc(meta.Annotations, func(key, _ string) bool { return key != v1alpha1.AnnotationRefreshRequestedAt })
	for key, value := range meta.Annotations { // of one that is too long, enough to see that
		meta.Annotations[key] = strings.Clone(value[:min(len(value), credential.MaxRefreshRequest+1)])
	}
	return o, nil
}

// share lets objects of equal metadata hold it once. What is in the cache is read-only.
func (t *transforms) share(m *metav1.ObjectMeta) {
	if size(m.Labels) > maxLabels {
		m.Labels = nil
	}
	if m.Namespace != "" { // else it has a name of its own
		m.Name = t.name(m.Name)
	}
	m.Labels, m.Annotations = t.one(m.Labels), t.one(m.Annotations)
	m.GenerateName, m.Finalizers = "", nil
}

// name is one of which most namespaces have one, such as default.
func (t *transforms) name(name string) string { return t.names.of(name, name) }

// one returns the one map of this content that is held.
func (t *transforms) one(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	var key strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		key.WriteString(k + "\x00" + m[k] + "\x00")
	}
	return t.maps.of(key.String(), m)
}

func keyOfOwners(owners []metav1.OwnerReference) string {
	var key strings.Builder
	for _, o := range owners {
		fmt.Fprintf(&key, "%s\x00%s\x00%s\x00%s\x00%t\x00", o.APIVersion, o.Kind, o.Name, o.UID, ptr.Deref(o.BlockOwnerDeletion, false))
	}
	return key.String()
}

// shared holds equal values once. It is bounded, and starts anew when it is full: whoever has a value keeps it.
type shared[V any] struct {
	mu     sync.Mutex
	values map[string]V
	bytes  int // of the keys
}

// sharedEntry is about what an entry takes beside its key.
const sharedEntry = 64

// of is the value that is held under the key, which says all of it.
func (s *shared[V]) of(key string, value V) V {
	if len(key) == 0 || len(key) > maxShared {
		return value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if same, ok := s.values[key]; ok {
		return same
	}
	if s.bytes += len(key) + sharedEntry; s.values == nil || s.bytes > maxSharedBytes {
		s.values, s.bytes = map[string]V{}, len(key)+sharedEntry
	}
	s.values[key] = value
	return value
}

func size(m map[string]string) int {
	total := 0
	for key, value := range m {
		total += len(key) + len(value)
	}
	return total
}
