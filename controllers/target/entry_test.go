package target

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// A provider's token may end in the second in which an override does.
func TestALoginByHandIsKnownByItsSource(t *testing.T) {
	until := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	c, err := credential.Of(&v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "pull", UID: "uid"}})
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.Registry{Name: "prod", Override: &v1alpha1.Override{Until: metav1.NewTime(until)}}
	for source, byHand := range map[string]bool{"hand": true, "provider": false} {
		e := newEntry(c, credential.Target{Namespace: "team"}, &spec)
		e.providerSource = "provider"
		e.reset(observed{Saved: pullsecret.Saved{Records: map[string]pullsecret.Record{
			"prod": {Name: "prod", Source: source, IssuedAt: until.Add(-time.Hour), ExpiresAt: until},
		}}})
		if e.WasOverridden != byHand || e.DueAt.Equal(until) != byHand {
			t.Errorf("from %s: by hand is %t, due at %s", source, e.WasOverridden, e.DueAt)
		}
	}
}
