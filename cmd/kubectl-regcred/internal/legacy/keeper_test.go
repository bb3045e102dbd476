package legacy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The metadata are those that each tool writes on the Secrets that it makes, or asks for on those that it copies.
func TestEachToolIsKnownByWhatItWrites(t *testing.T) {
	for metadata, want := range map[string]string{
		`{labels: {reconcile.external-secrets.io/created-by: 0a1b, reconcile.external-secrets.io/managed: "true"}, annotations: {reconcile.external-secrets.io/data-hash: 0a1b}}`: "External Secrets",
		`{ownerReferences: [{apiVersion: external-secrets.io/v1, kind: ExternalSecret, name: ecr, controller: true}]}`:                                                            "External Secrets",
		`{annotations: {reflector.v1.k8s.emberstack.com/auto-reflects: "True", reflector.v1.k8s.emberstack.com/reflects: infra/pull}}`:                                            "Reflector",
		`{annotations: {replicator.v1.mittwald.de/replicated-at: "2026-01-01T00:00:00Z", replicator.v1.mittwald.de/replicated-from-version: "7"}}`:                                "Kubernetes Replicator",
		`{labels: {acr.microsoft.com/binding: pull}, annotations: {acr.microsoft.com/token.expiry: "2026-01-01T00:00:00Z"}}`:                                                      "msi-acrpull",
		`{ownerReferences: [{apiVersion: acrpull.microsoft.com/v1beta2, kind: AcrPullBinding, name: pull, controller: true}]}`:                                                    "msi-acrpull",
		`{ownerReferences: [{apiVersion: ops.alexellis.io/v1, kind: ClusterPullSecret, name: dockerhub, controller: true}]}`:                                                      "registry-creds",
		`{annotations: {reflector.v1.k8s.emberstack.com/reflection-allowed: "true", reflector.v1.k8s.emberstack.com/reflection-auto-enabled: "true"}}`:                            "source of Reflector",
		`{annotations: {replicator.v1.mittwald.de/replicate-to: "team-.*"}}`:                                                                                                      "source of Kubernetes Replicator",
		`{labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: app}}`:                                                                           "",
		`{ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: app, controller: true}]}`:                                                                               "",
	} {
		o := &corev1.Secret{}
		if err := yaml.Unmarshal([]byte(metadata), &o.ObjectMeta); err != nil {
			t.Fatal(err)
		}
		tool, writes := ToolOf(o)
		if !writes && tool != "" {
			tool = "source of " + tool
		}
		if tool != want {
			t.Errorf("%s: %q, want %q", metadata, tool, want)
		}
	}
}
