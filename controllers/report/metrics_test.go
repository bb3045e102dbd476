package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// scraped is what a collector shows: values by name and labels. Series of counters that are 0 are left out.
func scraped(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "regcred_build_info" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			switch series := f.GetName() + "{" + strings.Join(labels, ",") + "}"; {
			case m.GetGauge() != nil:
				values[series] = m.GetGauge().GetValue()
			case m.GetCounter().GetValue() != 0:
				values[series] = m.GetCounter().GetValue()
			}
		}
	}
	return values
}

var metricsStart = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// bookkeeper reports outcomes of a cluster-wide credential called c to a Ledger.
type bookkeeper struct {
	*Metrics
	clock *clocktesting.FakePassiveClock
	c     *credential.Credential
}

func newBookkeeper() *bookkeeper {
	now := clocktesting.NewFakePassiveClock(metricsStart)
	o := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
	o.Spec.Registries = []v1alpha1.Registry{{Name: "prod"}}
	return &bookkeeper{
		Metrics: &Metrics{Ledger: &Ledger{Clock: now, Changed: func(credential.Key) {}}, Clock: now},
		clock:   now,
		c:       &credential.Credential{Key: credential.Key{Name: "c"}, Object: o, Spec: &o.Spec.CredentialSpec},
	}
}

// entryHolding is an entry with a token that lives and is due after these times.
func entryHolding(name string, life, due time.Duration) *target.EntryState {
	return &target.EntryState{Name: name, Known: true, DueAt: metricsStart.Add(due), Record: pullsecret.Record{Name: name, ExpiresAt: metricsStart.Add(life)}}
}

func (b *bookkeeper) report(namespace string, out target.Outcome) {
	b.Ledger.Report(b.c, b.c.Target(namespace), out)
}

func TestMetricsShowTheFirstTimesThatCome(t *testing.T) {
	b := newBookkeeper()
	later, earlier := entryHolding("prod", 12*time.Hour, 5*time.Hour), entryHolding("prod", 11*time.Hour, 6*time.Hour)
	later.Record.IssuedAt, earlier.Record.IssuedAt = metricsStart.Add(-time.Minute), metricsStart.Add(-time.Hour)
	later.Fresh = true
	b.report("a", target.Outcome{Entries: []*target.EntryState{later}})
	static := entryHolding("hub", 0, 0)
	static.Record.ExpiresAt, static.DueAt = providers.Never, providers.Never
	b.report("b", target.Outcome{Entries: []*target.EntryState{earlier, static}})
	// A namespace without a token says nothing of the tokens of others.
	b.report("conflict", target.Outcome{Failure: &credential.Failure{Reason: v1alpha1.ReasonSecretConflict}})
	at := func(d time.Duration) float64 { return float64(metricsStart.Add(d).Unix()) }
	want := map[string]float64{
		"regcred_active{}": 0,
		"regcred_token_expiry_timestamp_seconds{c,,ClusterRegistryCredential,prod}":  at(11 * time.Hour),
		"regcred_token_refresh_timestamp_seconds{c,,ClusterRegistryCredential,prod}": at(5 * time.Hour),
		"regcred_token_issue_timestamp_seconds{c,,ClusterRegistryCredential,prod}":   at(-time.Minute),
		"regcred_credential_ready{c,,ClusterRegistryCredential}":                     0,
		"regcred_targets_selected{c,,ClusterRegistryCredential}":                     3,
		"regcred_targets_current{c,,ClusterRegistryCredential}":                      2,
		"regcred_targets_failed{c,,ClusterRegistryCredential,SecretConflict}":        1,
	}
	if diff := cmp.Diff(want, scraped(t, b)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestATokenThatDiesShowsWithoutAnybodySayingSo(t *testing.T) {
	b := newBookkeeper()
	failing := entryHolding("prod", time.Hour, 0)
	failing.Failure = &credential.Failure{Reason: v1alpha1.ReasonUnavailable}
	b.report("a", target.Outcome{Entries: []*target.EntryState{failing}})
	const ready, current = "regcred_credential_ready{c,,ClusterRegistryCredential}", "regcred_targets_current{c,,ClusterRegistryCredential}"
	before := scraped(t, b)
	if before[ready] != 1 || before[current] != 1 {
		t.Errorf("a failed refresh takes the token that lives away: %v", before)
	}
	if before["regcred_targets_failed{c,,ClusterRegistryCredential,Unavailable}"] != 1 {
		t.Errorf("the failure is not shown: %v", before)
	}
	b.clock.SetTime(metricsStart.Add(time.Hour))
	if after := scraped(t, b); after[ready] != 0 || after[current] != 0 {
		t.Errorf("a dead token is shown as good: %v", after)
	}
}

func TestATargetThatCannotBeWorkedOnIsMissed(t *testing.T) {
	b := newBookkeeper()
	b.report("a", target.Outcome{Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
	b.Ledger.sum(b.c, []string{"a", "unheard"}, b.clock.Now())
	const selected, ready = "regcred_targets_selected{c,,ClusterRegistryCredential}", "regcred_credential_ready{c,,ClusterRegistryCredential}"
	if got := scraped(t, b); got[selected] != 2 || got[ready] != 0 {
		t.Errorf("a namespace that was never heard of is not missed: %v", got)
	}
	changed := 0
	b.Ledger.Changed = func(credential.Key) { changed++ }
	b.Ledger.Forget(credential.Target{Credential: b.c.Key, Namespace: "unheard"})
	if changed != 1 {
		t.Error("nobody counts the namespaces again when one that was never heard of goes")
	}
	b.Ledger.sum(b.c, []string{"a"}, b.clock.Now())
	if got := scraped(t, b); got[selected] != 1 || got[ready] != 1 {
		t.Errorf("a namespace that is gone is still missed: %v", got)
	}
	b.report("a", target.Outcome{Unlinked: true, Failure: &credential.Failure{Reason: v1alpha1.ReasonLinkFailed}, Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
	if got := scraped(t, b); got[ready] != 0 {
		t.Error("pods of an unlinked ServiceAccount pass for able to pull")
	}
}

func TestRotationsAndRepairsAreCountedByCause(t *testing.T) {
	b := newBookkeeper()
	for _, wrote := range []target.Cause{target.CauseMissing, target.CauseDue, "", target.CauseDue, target.CauseMissing, target.CauseEdited, target.CauseNew,
		target.CauseRefused, target.CauseAdopted} {
		b.report("a", target.Outcome{Wrote: wrote, Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
	}
	got := scraped(t, b)
	for series, want := range map[string]float64{
		"regcred_rotations_total{Due,c,,ClusterRegistryCredential}":     2,
		"regcred_rotations_total{New,c,,ClusterRegistryCredential}":     1,
		"regcred_rotations_total{Refused,c,,ClusterRegistryCredential}": 1,
		"regcred_repairs_total{Deleted,c,,ClusterRegistryCredential}":   1, // the other time it was issued
		"regcred_repairs_total{Edited,c,,ClusterRegistryCredential}":    1,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
		delete(got, series)
	}
	for series, value := range got {
		if strings.Contains(series, "_total") {
			t.Errorf("%s is %v, want nothing", series, value)
		}
	}
}

func TestLinksPullsAndEvictionsAreCountedByCredential(t *testing.T) {
	b := newBookkeeper()
	key, other := b.c.Key, credential.Key{Namespace: "team", Name: "gone"}
	b.Ledger.Linked(key, link.Changes{Made: 2})
	b.Ledger.Linked(key, link.Changes{Restored: 1, Removed: 3})
	b.Ledger.PullFailed(key, v1alpha1.CausePullDenied)
	b.Ledger.PullFailed(other, v1alpha1.CausePullDenied)
	b.Ledger.PullFailed(credential.Key{}, v1alpha1.CauseUnreachable)
	b.Ledger.Evicted(key)
	b.Ledger.Evicted(other)
	got := scraped(t, b)
	for series := range got {
		if !strings.Contains(series, "_total") {
			delete(got, series)
		}
	}
	if diff := cmp.Diff(map[string]float64{
		"regcred_links_total{made,c,,ClusterRegistryCredential}":               2,
		"regcred_links_total{restored,c,,ClusterRegistryCredential}":           1,
		"regcred_links_total{removed,c,,ClusterRegistryCredential}":            3,
		"regcred_pull_failures_total{PullDenied,c,,ClusterRegistryCredential}": 1,
		"regcred_pull_failures_total{Unreachable,,,}":                          1,
		"regcred_evictions_total{c,,ClusterRegistryCredential}":                1,
	}, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestLabelsAreNoScrapesOwn: Prometheus and its operator set these themselves, and rename or overwrite ours.
func TestLabelsAreNoScrapesOwn(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	b := newBookkeeper()
	b.Version = "v1.2.3"
	b.report("a", target.Outcome{Failure: &credential.Failure{Reason: v1alpha1.ReasonSecretConflict}, Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
	registry.MustRegister(b)
	families, err := registry.Gather()
	if err != nil || len(families) < 10 {
		t.Fatalf("%d metrics: %v", len(families), err)
	}
	for _, f := range families {
		for _, l := range f.GetMetric()[0].GetLabel() {
			if slices.Contains([]string{"namespace", "name", "pod", "container", "service", "job", "instance", "endpoint", "cluster", "node"}, l.GetName()) {
				t.Errorf("%s has a label %s", f.GetName(), l.GetName())
			}
			if l.GetName() == "version" && l.GetValue() != "v1.2.3" {
				t.Errorf("version %s", l.GetValue())
			}
		}
	}
}

func TestNoSeriesOutlivesItsCredential(t *testing.T) {
	b := newBookkeeper()
	elected := make(chan struct{})
	close(elected)
	b.Elected = elected
	b.report("a", target.Outcome{Wrote: target.CauseEdited, Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
	if got := scraped(t, b); len(got) < 5 {
		t.Fatalf("only %v", got)
	}
	b.Ledger.drop(b.c.Key)
	if diff := cmp.Diff(map[string]float64{"regcred_active{}": 1}, scraped(t, b)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestSeriesDoNotGrowWithTargets(t *testing.T) {
	few, many := newBookkeeper(), newBookkeeper()
	for i := range 10_000 {
		for _, b := range []*bookkeeper{few, many} {
			if b == many || i < 10 {
				b.report(fmt.Sprintf("n%d", i), target.Outcome{Entries: []*target.EntryState{entryHolding("prod", time.Hour, time.Hour)}})
			}
		}
	}
	cost := func(b *bookkeeper) (series int, allocations float64) {
		return len(scraped(t, b)), testing.AllocsPerRun(3, func() { b.Ledger.rows(b.clock.Now()) })
	}
	fewSeries, fewAllocations := cost(few)
	if series, allocations := cost(many); series != fewSeries || allocations > fewAllocations {
		t.Errorf("%d series and %v allocations for 10,000 targets, %d and %v for 10", series, allocations, fewSeries, fewAllocations)
	}
}
