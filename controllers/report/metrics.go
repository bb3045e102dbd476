package report

import (
	"maps"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// Metrics shows the Ledger at scrape time, so that no value is stale and no series outlives its credential. There is none for a single
// target: a credential may have thousands.
type Metrics struct {
	Ledger *Ledger
	Clock  clock.PassiveClock
	// Elected is closed when this replica begins to work.
	Elected <-chan struct{}
}

var (
	credentialLabels = []string{"kind", "namespace", "name"}
	registryLabels   = []string{"kind", "namespace", "name", "registry"}

	activeMetric = prometheus.NewDesc("regcred_active",
		"1 on the replica that works, 0 on one that waits for its turn.", nil, nil)
	readyMetric = prometheus.NewDesc("regcred_credential_ready",
		"1 while pods can pull from every registry of the credential in every namespace that it selects, else 0.", credentialLabels, nil)
	expiryMetric = prometheus.NewDesc("regcred_token_expiry_timestamp_seconds",
		"When the first published token of a registry entry expires, over all its namespaces; +Inf for what does not expire, and no series while no namespace has one.", registryLabels, nil)
	refreshMetric = prometheus.NewDesc("regcred_token_refresh_timestamp_seconds",
		"When the first published token of a registry entry is due to be refreshed, over all its namespaces; +Inf for what is not refreshed by time.", registryLabels, nil)
	selectedMetric = prometheus.NewDesc("regcred_targets_selected",
		"Secrets that a credential has to keep: one in each namespace that it selects.", credentialLabels, nil)
	currentMetric = prometheus.NewDesc("regcred_targets_current",
		"Secrets of a credential with which pods can pull from every registry.", credentialLabels, nil)
	failedMetric = prometheus.NewDesc("regcred_targets_failed",
		"Secrets of a credential that cannot be brought up to date, by the first reason; pods may still pull while the published token lives. No series for a reason that does not occur.",
		[]string{"kind", "namespace", "name", "reason"}, nil)
	rotationsMetric = prometheus.NewDesc("regcred_rotations_total",
		"Secrets into which a new token was written, by cause: `Due` at half of the token's life, `SourceChanged` with the entry or its identity, `RefreshRequested` by annotation, `New` for an entry that was added.",
		[]string{"kind", "namespace", "name", "cause"}, nil)
	repairsMetric = prometheus.NewDesc("regcred_repairs_total",
		"Secrets that were restored after somebody else had changed them, by cause: `Deleted`, `Edited`, `Relabelled`, `OwnerChanged`.",
		[]string{"kind", "namespace", "name", "cause"}, nil)

	rotationCauses = []target.Cause{target.CauseDue, target.CauseSourceChanged, target.CauseRefreshRequested, target.CauseNew}
	repairCauses   = []target.Cause{target.CauseDeleted, target.CauseEdited, target.CauseRelabelled, target.CauseOwnerChanged}
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		activeMetric, readyMetric, expiryMetric, refreshMetric, selectedMetric, currentMetric, failedMetric, rotationsMetric, repairsMetric,
	} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	active := 0.
	select {
	case <-m.Elected:
		active = 1
	default:
	}
	gauge(activeMetric, active)
	for _, v := range m.Ledger.rows(m.Clock.Now()) {
		kind, namespace, name := v.key.Kind(), v.key.Namespace, v.key.Name
		gauge(readyMetric, v.ready(), kind, namespace, name)
		gauge(selectedMetric, float64(v.selected), kind, namespace, name)
		gauge(currentMetric, float64(v.current), kind, namespace, name)
		for reason, count := range v.failed {
			gauge(failedMetric, float64(count), kind, namespace, name, reason)
		}
		for _, e := range v.entries {
			gauge(expiryMetric, unix(e.expiresAt), kind, namespace, name, e.name)
			gauge(refreshMetric, unix(e.refreshAt), kind, namespace, name, e.name)
		}
		for _, of := range []struct {
			metric *prometheus.Desc
			causes []target.Cause
		}{{rotationsMetric, rotationCauses}, {repairsMetric, repairCauses}} {
			for _, c := range of.causes {
				metrics <- prometheus.MustNewConstMetric(of.metric, prometheus.CounterValue, float64(v.writes[c]), kind, namespace, name, string(c))
			}
		}
	}
}

// row is what metrics show of one credential.
type row struct {
	key               credential.Key
	selected, current int
	// failed counts targets by the first reason of their failure.
	failed map[string]int
	// entries are those of which any target holds a token, with the first times that come.
	entries []entryStanding
	writes  map[target.Cause]int
}

func (v row) ready() float64 {
	if v.current < v.selected {
		return 0
	}
	return 1
}

// rows looks at every credential.
func (l *Ledger) rows(now time.Time) []row {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := make([]row, 0, len(l.books))
	for key, b := range l.books {
		v := row{key: key, selected: max(b.selected, len(b.targets)), failed: map[string]int{}, writes: maps.Clone(b.writes)}
		for _, t := range b.targets {
			v.add(t, now)
		}
		rows = append(rows, v)
	}
	return rows
}

func (v *row) add(t standing, now time.Time) {
	live, failing := true, t.failure
	for _, e := range t.entries {
		live = live && e.expiresAt.After(now)
		if failing == nil {
			failing = e.failure
		}
		if !e.expiresAt.IsZero() {
			v.addEntry(e)
		}
	}
	if live && !t.unlinked() {
		v.current++
	}
	if failing != nil {
		v.failed[failing.Reason]++
	}
}

func (v *row) addEntry(e entryStanding) {
	for i := range v.entries {
		if known := &v.entries[i]; known.name == e.name {
			if e.expiresAt.Before(known.expiresAt) {
				known.expiresAt = e.expiresAt
			}
			if e.refreshAt.Before(known.refreshAt) {
				known.refreshAt = e.refreshAt
			}
			return
		}
	}
	v.entries = append(v.entries, e)
}

// count notes why a Secret was written, for the causes that are counted.
func (b *book) count(out target.Outcome, before standing) {
	if out.Wrote == "" || out.Wrote == target.CauseDeleted && !before.served() {
		// A Secret that was never there is issued, and not repaired.
		return
	}
	b.writes[out.Wrote]++
}

// unix is infinite for never.
func unix(t time.Time) float64 {
	if t.Equal(providers.Never) {
		return math.Inf(1)
	}
	return float64(t.Unix())
}
