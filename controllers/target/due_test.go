package target

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
			at := dueAt(dueCredential, namespace, &entry, record)
			if at != dueAt(dueCredential, namespace, &entry, record) {
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
			if at := dueAt(dueCredential, fmt.Sprint(i), &v1alpha1.Registry{}, c.record); at.Before(c.earliest) || at.After(c.latest) {
				t.Errorf("%s: due at %s, want %s to %s", name, at, c.earliest, c.latest)
			}
		}
	}
}

// Ten thousand credentials that are applied in one second, each with an identity of its own, are ten thousand calls: in the first cycle over the
// window of the jitter, and a day later at any time.
func TestCredentialsOfOneSecondDoNotStayTogether(t *testing.T) {
	const credentials, until, life = 10_000, 30 * time.Hour, time.Hour
	var minutes [until / time.Minute]int
	entry := v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}
	for i := range credentials {
		o := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pull", UID: types.UID(strconv.Itoa(i))}}
		c, err := credential.Of(o)
		if err != nil {
			t.Fatal(err)
		}
		for issued := dueStart; ; {
			issued = dueAt(c, "shop", &entry, pullsecret.Record{IssuedAt: issued, ExpiresAt: issued.Add(life)}).Truncate(time.Second)
			minute := int(issued.Sub(dueStart) / time.Minute)
			if minute >= len(minutes) {
				break
			}
			minutes[minute]++
		}
	}
	for when, window := range map[string][]int{
		"in the first cycle":       minutes[24:30], // half of the life, less up to a tenth
		"from the 24th hour on":    minutes[24*60:],
		"in any hour after a day":  minutes[25*60 : 26*60],
		"in the last of the hours": minutes[29*60:],
	} {
		all := 0
		for _, n := range window {
			all += n
		}
		if ratio := float64(slices.Max(window)*len(window)) / float64(all); all == 0 || ratio > 1.3 {
			t.Errorf("%s the peak of refreshes by minute is %.2f of their mean, want 1.3 at most", when, ratio)
		}
	}
	if early := slices.Max(minutes[:24]); early > 0 {
		t.Errorf("%d refreshes in a minute before any is due", early)
	}
}
