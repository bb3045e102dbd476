package audit

import (
	"slices"
	"strings"
	"testing"
)

// Whatever a repository of manifests holds: it is read to its end, or one line says what was not read, and no line quotes a Secret.
func FuzzManifests(f *testing.F) {
	f.Add("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"a\":{\"auth\":\"canary\"}}}'}\n")
	f.Add("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: default}, imagePullSecrets: [{name: a}]}\n---\nnull\n---\n- 1\n")
	f.Add("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: b}]}}}}}\n")
	f.Add("apiVersion: regcred.dev/v1alpha1\nkind: ClusterRegistryCredential\nmetadata: {name: a}\nspec: {secretName: canary}\n")
	f.Add(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":"canary"}}{`)
	f.Fuzz(func(t *testing.T, text string) {
		i, gaps, err := readFrom("-", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, note := range slices.Concat(gaps.NotRead, gaps.Skipped) {
			if strings.ContainsAny(note, "\n\r") || strings.Contains(note, "canary") {
				t.Errorf("%q is not one line, or quotes what it is about", note)
			}
		}
		for name := range i.secrets {
			if name.Namespace == "" {
				t.Errorf("Secret %s has no namespace", name)
			}
		}
	})
}
