package pullsecret

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Part is what one registry entry brings into a Secret.
type Part struct {
	Record Record
	Auths  Auths
}

// Compose makes the Secret, in place of an existing one if there is any.
func Compose(name types.NamespacedName, owner Owner, existing *metav1.PartialObjectMetadata, entries []Part) (*corev1.Secret, error) {
	config := Config{Auths: Auths{}}
	var records []Record
	for _, e := range entries {
		records = append(records, e.Record)
		maps.Copy(config.Auths, e.Auths)
	}
	content, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	annotation, err := document{Entries: records, Labels: keysOf(owner.Template.Labels), Annotations: keysOf(owner.Template.Annotations)}.encode()
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: content},
	}
	if existing != nil {
		secret.UID, secret.ResourceVersion = existing.UID, existing.ResourceVersion
		secret.Labels, secret.Annotations = maps.Clone(existing.Labels), maps.Clone(existing.Annotations)
		secret.Finalizers = existing.Finalizers
		secret.OwnerReferences = slices.DeleteFunc(slices.Clone(existing.OwnerReferences), func(o metav1.OwnerReference) bool {
			return o.Controller != nil && *o.Controller
		})
	}
	delete(secret.Annotations, v1alpha1.AnnotationKeptBy)
	delete(secret.Annotations, v1alpha1.AnnotationRetain)
	delete(secret.Annotations, annotationCut)
	if owner.keepsUnowned(object(existing)) {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, v1alpha1.AnnotationKeptBy, owner.ref())
	} else {
		secret.OwnerReferences = append(secret.OwnerReferences, owner.reference())
	}
	if owner.Retain {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, v1alpha1.AnnotationRetain, "true")
	}
	written, _ := parsed.of(secret.Annotations[AnnotationRegistries])
	owner.Template.apply(&secret.ObjectMeta, written)
	metav1.SetMetaDataLabel(&secret.ObjectMeta, v1alpha1.LabelSecret, v1alpha1.LabelSecretTarget)
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, AnnotationRegistries, annotation)
	return secret, nil
}

// object makes a nil Object of a nil pointer: a nil pointer in an interface would not be nil.
func object(secret *metav1.PartialObjectMetadata) metav1.Object {
	if secret == nil {
		return nil
	}
	return secret
}
