package pullsecret

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Template is the labels and annotations that a credential's owner wants on the Secret.
type Template struct {
	Labels, Annotations map[string]string
}

// Followed says whether the Secret carries what the template wants, and nothing that an earlier one did alone.
func (t Template) Followed(secret metav1.Object, written Saved) bool {
	return follows(secret.GetLabels(), t.Labels, written.Labels) && follows(secret.GetAnnotations(), t.Annotations, written.Annotations)
}

func follows(have, want map[string]string, written []string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			return false
		}
	}
	return slices.Equal(written, keysOf(want))
}

// apply puts what the template wants on the Secret, and takes off what an earlier one did. What others have added stays.
func (t Template) apply(secret *metav1.ObjectMeta, written Saved) {
	for _, key := range written.Labels {
		delete(secret.Labels, key)
	}
	for _, key := range written.Annotations {
		delete(secret.Annotations, key)
	}
	for key, value := range t.Labels {
		metav1.SetMetaDataLabel(secret, key, value)
	}
	for key, value := range t.Annotations {
		metav1.SetMetaDataAnnotation(secret, key, value)
	}
}

// keysOf are the keys as a record names them; nil for none.
func keysOf(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}
