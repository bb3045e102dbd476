package credential

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// TargetOf returns the target that a Secret is, as its owner reference says, or else what it is kept by.
func TargetOf(secret metav1.Object) (Target, bool) {
	kind, name, _ := strings.Cut(secret.GetAnnotations()[v1alpha1.AnnotationKeptBy], "/")
	if owner := metav1.GetControllerOfNoCopy(secret); owner != nil {
		if owner.APIVersion != v1alpha1.GroupVersion.String() {
			return Target{}, false
		}
		kind, name = owner.Kind, owner.Name
	}
	key, ok := keyIn(secret.GetNamespace(), kind, name)
	if !ok {
		return Target{}, false
	}
	return Target{key, secret.GetNamespace(), secret.GetName()}, true
}

// Linked are the targets whose links are recorded on a ServiceAccount.
func Linked(sa metav1.Object) []Target {
	var targets []Target
	for annotation, record := range sa.GetAnnotations() {
		if t, ok := LinkOf(sa.GetNamespace(), annotation, record); ok {
			targets = append(targets, t)
		}
	}
	return targets
}

// LinkOf reads the record of a link from an annotation of a ServiceAccount, where others may write anything.
func LinkOf(namespace, annotation, record string) (Target, bool) {
	secret, ok := strings.CutPrefix(annotation, v1alpha1.AnnotationLinkPrefix)
	if !ok {
		return Target{}, false
	}
	kind, name, ok := strings.Cut(record, "/")
	if !ok {
		name = secret
	}
	key, ok := keyIn(namespace, kind, name)
	if !ok {
		return Target{}, false
	}
	return Target{key, namespace, secret}, true
}

// Recorded says whether a link of the target is recorded on a ServiceAccount.
func Recorded(sa metav1.Object, t Target) bool {
	for annotation, record := range sa.GetAnnotations() {
		if linked, ok := LinkOf(sa.GetNamespace(), annotation, record); ok && linked == t {
			return true
		}
	}
	return false
}

// LinkRecord is what records the target's link on a ServiceAccount: <Kind>/<credential>, or the kind alone where the Secret has the credential's
// name.
func (t Target) LinkRecord() string {
	if t.Name == t.Credential.Name {
		return t.Credential.Kind()
	}
	return t.Credential.Ref()
}

// LeftAlone says whether the owner of a ServiceAccount or a namespace wants no links there.
func LeftAlone(o metav1.Object) bool {
	return o.GetLabels()[v1alpha1.LabelLink] == v1alpha1.LabelLinkNever
}

// AnnotationCut marks, in memory alone, a ServiceAccount whose list of pull secrets is too long to be held.
const AnnotationCut = "regcred.dev/cut"

// Cut says whether the list of pull secrets of a ServiceAccount is not held, and so must not be changed.
func Cut(sa metav1.Object) bool { return sa.GetAnnotations()[AnnotationCut] != "" }

// AnnotationCrowded marks, in memory alone, a ServiceAccount with more records of links than are held.
const AnnotationCrowded = "regcred.dev/crowded"

// Crowded says whether a ServiceAccount has more records of links than are held.
func Crowded(sa metav1.Object) bool { return sa.GetAnnotations()[AnnotationCrowded] != "" }
