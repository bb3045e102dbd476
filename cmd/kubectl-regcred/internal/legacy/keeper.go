package legacy

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ExternalSecrets is the tool that people know by this name.
const ExternalSecrets = "External Secrets"

// marks are the labels and annotations that tools leave on the Secrets that they write, or, behind source, find on those that they copy.
var marks = []struct {
	prefix, tool string
	source       []string
}{
	{"reconcile.external-secrets.io/", ExternalSecrets, nil},
	{"reflector.v1.k8s.emberstack.com/", "Reflector", []string{"reflection-"}},
	{"replicator.v1.mittwald.de/", "Kubernetes Replicator", []string{"replicate-to", "replication-allowed", "strip-", "keep-"}},
	{"acr.microsoft.com/", "msi-acrpull", nil},
}

// owners are the kinds of objects that own the Secrets of tools.
var owners = map[string]string{"ExternalSecret": ExternalSecrets, "AcrPullBinding": "msi-acrpull", "ClusterPullSecret": "registry-creds"}

// ToolOf is the tool that a Secret has to do with, as its metadata says, and whether that writes it; empty if there is none.
func ToolOf(o metav1.Object) (tool string, writes bool) {
	if owner := metav1.GetControllerOf(o); owner != nil && owners[owner.Kind] != "" {
		return owners[owner.Kind], true
	}
	for _, m := range marks {
		for _, keys := range []map[string]string{o.GetLabels(), o.GetAnnotations()} {
			for key := range keys {
				if name, marked := strings.CutPrefix(key, m.prefix); marked {
					tool = m.tool
					writes = writes || !slices.ContainsFunc(m.source, func(source string) bool { return strings.HasPrefix(name, source) })
				}
			}
		}
		if tool != "" {
			return tool, writes
		}
	}
	return "", false
}
