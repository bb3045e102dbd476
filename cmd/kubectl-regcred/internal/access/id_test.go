package access

import (
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Names in clouds are short, of few characters, and different for different entries.
func TestNamesInClouds(t *testing.T) {
	long := strings.Repeat("a", 63)
	seen := map[string]bool{}
	for _, e := range []*entry{
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: "pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindRegistryCredential, namespace: "team-a", credential: "pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindRegistryCredential, namespace: "team-b", credential: "pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: "team-a-pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: "team.pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: "team-pull", Registry: &v1alpha1.Registry{Name: "prod"}},
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: long, Registry: &v1alpha1.Registry{Name: "one"}},
		{kind: v1alpha1.KindClusterRegistryCredential, namespace: "regcred-system", credential: long, Registry: &v1alpha1.Registry{Name: "two"}},
	} {
		id := e.id()
		if len(id) > longestID || notInID.MatchString(id) || seen[id] {
			t.Errorf("%s of %s/%s %s", id, e.namespace, e.credential, e.Name)
		}
		seen[id] = true
	}
	if !seen["regcred-pull-prod"] || !seen["regcred-team-a_pull-prod"] {
		t.Errorf("a name that fits is changed: %v", seen)
	}
}
