package target

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

var (
	dueCredential = &credential.Credential{Object: &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}}
	dueStart      = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

func TestJitterOnlyMovesARefreshEarlierAndNeverChanges(t *testing.T) {
	for _, c := range []struct {
		percent int32
		life    time.Duration
		// left is how much of the life is left at the latest, and window over how much refreshes are spread.
		left, window time.Duration
	}{
		{0, time.Minute, 30 * time.Second, 6 * time.Second},
		{0, 12 * time.Hour, 6 * time.Hour, 72 * time.Minute},
		{10, 10 * time.Hour, time.Hour, time.Hour},
		{90, 10 * time.Hour, 9 * time.Hour, 30 * time.Minute}, // half of the time from the issue to then
	} {
		record := pullsecret.Record{IssuedAt: dueStart, ExpiresAt: dueStart.Add(c.life)}
		entry := v1alpha1.Registry{RenewBeforePercentage: c.percent}
		tenths := map[time.Duration]int{}
		for i := range 1000 {
			namespace := fmt.Sprintf("team-%d", i)
			at := dueAt(dueCredential, namespace, entry, record)
			if at != dueAt(dueCredential, namespace, entry, record) {
				t.Fatal("the jitter is random")
			}
			early := record.ExpiresAt.Add(-c.left).Sub(at)
			if early < 0 || early > c.window {
				t.Fatalf("%d %% of %s: refreshed %s before %s are left, want %s at most", c.percent, c.life, early, c.left, c.window)
			}
			tenths[early*10/(c.window+1)]++
		}
		for tenth := range time.Duration(10) {
			if tenths[tenth] < 50 || tenths[tenth] > 200 {
				t.Errorf("%d %% of %s: %d of 1000 refreshes fall into tenth %d of the window", c.percent, c.life, tenths[tenth], tenth)
			}
		}
	}
}

func TestWhatIsNotRenewedByTimeAloneIsDueOtherwise(t *testing.T) {
	expires := dueStart.Add(10 * time.Hour)
	for name, c := range map[string]struct {
		record           pullsecret.Record
		earliest, latest time.Time
	}{
		"what does not expire":                   {pullsecret.Record{IssuedAt: dueStart, ExpiresAt: providers.Never}, providers.Never, providers.Never},
		"what the cloud repeats for longer":      {pullsecret.Record{IssuedAt: dueStart, ExpiresAt: expires, RenewableAt: expires.Add(-time.Hour)}, expires.Add(-time.Hour), expires.Add(-54 * time.Minute)},
		"what the cloud repeats until just then": {pullsecret.Record{IssuedAt: dueStart, ExpiresAt: expires, RenewableAt: expires.Add(-5*time.Hour - time.Second)}, expires.Add(-5*time.Hour - time.Second), expires.Add(-5 * time.Hour)},
		"a record of an earlier version":         {pullsecret.Record{ExpiresAt: expires, EarlierDueAt: dueStart.Add(time.Minute)}, dueStart.Add(time.Minute), dueStart.Add(time.Minute)},
	} {
		for i := range 100 {
			if at := dueAt(dueCredential, fmt.Sprint(i), v1alpha1.Registry{}, c.record); at.Before(c.earliest) || at.After(c.latest) {
				t.Errorf("%s: due at %s, want %s to %s", name, at, c.earliest, c.latest)
			}
		}
	}
}
