package pullsecret

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	// annotationCut marks, in memory alone, a Secret with metadata of others.
	annotationCut = "regcred.dev/cut"
	// maxOwner and maxValue bound what is held of an owner reference and of an annotation: a template's has 1,024 characters, of up to four bytes.
	maxOwner, maxValue = 1 << 10, 4 << 10
	// maxUnclaimed bounds what is held of a Secret because of a record that nobody will believe.
	maxUnclaimed = 4 << 10
)

// Trim leaves of a Secret's metadata what is read here: who keeps it, the records, what a template has put there, and of managedFields who owns
// the data. The rest is marked as cut, however much of it a tenant adds.
func Trim(secret *metav1.PartialObjectMetadata) {
	secret.ManagedFields = ownershipOf(secret)
	saved, readable := recordOf(secret)
	before := len(secret.Labels) + len(secret.Annotations) + len(secret.OwnerReferences)
	maps.DeleteFunc(secret.Labels, func(key, _ string) bool {
		return key != v1alpha1.LabelSecret && !slices.Contains(saved.Labels, key)
	})
	maps.DeleteFunc(secret.Annotations, func(key, value string) bool {
		switch key {
		case AnnotationRegistries:
			return !readable
		case v1alpha1.AnnotationKeptBy, v1alpha1.AnnotationRetain, v1alpha1.AnnotationAdopt, annotationCut:
			return len(value) > maxValue
		}
		return !slices.Contains(saved.Annotations, key) || len(value) > maxValue
	})
	secret.OwnerReferences = slices.DeleteFunc(slices.Clone(secret.OwnerReferences), func(o metav1.OwnerReference) bool {
		return o.Controller == nil || !*o.Controller
	})
	for i, o := range secret.OwnerReferences {
		if len(o.APIVersion)+len(o.Kind)+len(o.Name)+len(o.UID) > maxOwner {
			secret.OwnerReferences[i] = metav1.OwnerReference{Kind: "owner of too long a name", Controller: o.Controller}
		}
	}
	if len(secret.Labels)+len(secret.Annotations)+len(secret.OwnerReferences) < before || len(secret.Finalizers) > 0 {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationCut, "true")
	}
	secret.Finalizers = nil
}

// recordOf reads the record that decides what else of a Secret is held. Anybody may write one: without a credential that is named as the keeper, or
// where others have changed what was written with it, it is held only while all that it brings is small.
func recordOf(secret *metav1.PartialObjectMetadata) (Saved, bool) {
	text := secret.Annotations[AnnotationRegistries]
	saved, readable := parsed.of(text)
	if !readable || claimed(secret) && Intact(secret) {
		return saved, readable
	}
	total := len(text)
	for _, key := range saved.Labels {
		total += len(key) + len(secret.Labels[key])
	}
	for _, key := range saved.Annotations {
		total += len(key) + len(secret.Annotations[key])
	}
	if total > maxUnclaimed {
		return Saved{}, false
	}
	return saved, true
}

// claimed says whether a credential is named as the keeper of a Secret: if it keeps none of that name, the Secret is given back, or is garbage.
func claimed(secret *metav1.PartialObjectMetadata) bool {
	kind, _, _ := strings.Cut(secret.Annotations[v1alpha1.AnnotationKeptBy], "/")
	if owner := metav1.GetControllerOfNoCopy(secret); owner != nil {
		if owner.APIVersion != v1alpha1.GroupVersion.String() {
			return false
		}
		kind = owner.Kind
	}
	return kind == v1alpha1.KindRegistryCredential || kind == v1alpha1.KindClusterRegistryCredential
}

// Cut says whether a Secret has metadata of others that are not held: it must not be replaced by what is.
func Cut(secret metav1.Object) bool { return secret.GetAnnotations()[annotationCut] != "" }

// Patch is the merge patch that makes of the Secret, as it is held, the one that was composed in its place. Owner references are not in it:
// a list would be replaced as a whole.
func Patch(held *metav1.PartialObjectMetadata, composed *corev1.Secret) ([]byte, error) {
	return json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": held.UID, "resourceVersion": held.ResourceVersion,
			"labels": changes(held.Labels, composed.Labels), "annotations": changes(held.Annotations, composed.Annotations),
		},
		"data": composed.Data,
	})
}

// changes are null for what is to go.
func changes(before, after map[string]string) map[string]any {
	all := map[string]any{}
	for key := range before {
		if key != annotationCut {
			all[key] = nil
		}
	}
	for key, value := range after {
		all[key] = value
	}
	return all
}
