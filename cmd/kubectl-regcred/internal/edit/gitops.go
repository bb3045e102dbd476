package edit

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// markers are the labels and annotations by which tools mark what they keep as it is elsewhere.
var markers = []struct{ key, tool string }{
	{"argocd.argoproj.io/instance", "Argo CD"},
	{"argocd.argoproj.io/tracking-id", "Argo CD"},
	{"kustomize.toolkit.fluxcd.io/name", "Flux"},
	{"helm.toolkit.fluxcd.io/name", "Flux"},
	{"meta.helm.sh/release-name", "Helm"},
	{"objectset.rio.cattle.io/id", "Fleet"},
	{"config.k8s.io/owning-inventory", "kpt"},
	{"configmanagement.gke.io/managed", "Config Sync"},
}

// Keeper is who would undo a change of the object's spec by hand; empty if nobody is known to.
func Keeper(o metav1.Object) string {
	for _, m := range markers {
		if o.GetLabels()[m.key] != "" || o.GetAnnotations()[m.key] != "" {
			return m.tool
		}
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Subresource == "" && ownsSpec(entry) && !byHand(entry.Manager) {
			return entry.Manager
		}
	}
	return ""
}

// byHand says whether the field manager is a person's tool.
func byHand(manager string) bool {
	return strings.HasPrefix(manager, "kubectl") || slices.Contains([]string{"k9s", "Mozilla", "node-fetch", "headlamp"}, manager)
}

func ownsSpec(entry metav1.ManagedFieldsEntry) bool {
	var fields map[string]json.RawMessage
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	_, owned := fields["f:spec"]
	return owned
}
