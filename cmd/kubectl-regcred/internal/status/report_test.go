package status

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-d)} }

// Since when something fails is said where the cluster knows it, and never when it became Ready.
func TestSinceWhen(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, reason string, since time.Duration) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, LastTransitionTime: *ago(since)}
	}
	ready := func(status metav1.ConditionStatus, reason string) []metav1.Condition {
		return []metav1.Condition{condition(v1alpha1.ConditionReady, status, reason, 9*time.Hour)}
	}
	stalled := condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretRejected, 2*time.Hour)
	due := func(reason string, at *metav1.Time) []v1alpha1.RegistryStatus {
		return []v1alpha1.RegistryStatus{{Name: "prod", ExpiresAt: ago(-time.Hour), RefreshAt: at, Reason: reason}}
	}
	for name, c := range map[string]struct {
		conditions []metav1.Condition
		registries []v1alpha1.RegistryStatus
		suspended  bool
		want       *metav1.Time
	}{
		"all is well":                       {ready(metav1.ConditionTrue, v1alpha1.ReasonCurrent), due("", ago(time.Minute)), false, nil},
		"it is not Ready":                   {ready(metav1.ConditionFalse, v1alpha1.ReasonAccessDenied), due(v1alpha1.ReasonAccessDenied, ago(time.Minute)), false, ago(9 * time.Hour)},
		"only the spec can help":            {append(ready(metav1.ConditionTrue, v1alpha1.ReasonPartial), stalled), due("", ago(time.Minute)), false, ago(2 * time.Hour)},
		"some namespaces fail":              {ready(metav1.ConditionTrue, v1alpha1.ReasonPartial), due("", ago(time.Minute)), false, nil},
		"a refresh is due and fails":        {ready(metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing), due(v1alpha1.ReasonAccessDenied, ago(time.Minute)), false, ago(time.Minute)},
		"a refresh fails before it is due":  {ready(metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing), due(v1alpha1.ReasonAccessDenied, ago(-time.Minute)), false, nil},
		"it is overridden":                  {ready(metav1.ConditionTrue, v1alpha1.ReasonCurrent), due(v1alpha1.ReasonOverridden, ago(time.Minute)), false, nil},
		"it is suspended":                   {append(ready(metav1.ConditionTrue, v1alpha1.ReasonSuspended), stalled), due("", ago(time.Minute)), true, nil},
		"it is suspended, and has no token": {ready(metav1.ConditionFalse, v1alpha1.ReasonSuspended), nil, true, ago(9 * time.Hour)},
	} {
		o := &v1alpha1.RegistryCredential{Spec: v1alpha1.CredentialSpec{Suspend: c.suspended, Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{}}}}}
		o.Status.Conditions, o.Status.Registries = c.conditions, c.registries
		if got := assess(cluster.CredentialOf(o), now).FailingSince; !got.Equal(c.want) {
			t.Errorf("%s: since %v, want %v", name, got, c.want)
		}
	}
}
