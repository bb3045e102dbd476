package credential

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// TargetOf returns the target that a Secret is, as its owner reference says.
func TargetOf(secret metav1.Object) (Target, bool) {
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.APIVersion != v1alpha1.GroupVersion.String() || owner.Name != secret.GetName() {
		return Target{}, false
	}
	return Target{KeyFromRef(owner.Kind+"/"+owner.Name, secret.GetNamespace()), secret.GetNamespace()}, true
}

// Linked are the credentials whose links are recorded on a ServiceAccount.
func Linked(sa metav1.Object) []Key {
	var keys []Key
	for annotation, kind := range sa.GetAnnotations() {
		if name, ok := strings.CutPrefix(annotation, v1alpha1.AnnotationLinkPrefix); ok {
			keys = append(keys, KeyFromRef(kind+"/"+name, sa.GetNamespace()))
		}
	}
	return keys
}

// AnnotationCut marks, in memory alone, a ServiceAccount whose list of pull secrets is too long to be held.
const AnnotationCut = "regcred.dev/cut"

// Cut says whether the list of pull secrets of a ServiceAccount is not held, and so must not be changed.
func Cut(sa metav1.Object) bool { return sa.GetAnnotations()[AnnotationCut] != "" }
