package report

import (
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// Metrics shows the Ledger at scrape time, so that no value is stale and no series outlives its credential. There is none for a single
// target: a credential may have thousands.
type Metrics struct {
	Ledger *Ledger
	Clock  clock.PassiveClock
	// Version is the controller's.
	Version string
	// Elected is closed when this replica begins to work.
	Elected <-chan struct{}
}

var (
	// No label is called namespace or name: scrape configurations set these to the target's.
	credentialLabels = []string{"kind", "credential_namespace", "credential"}
	registryLabels   = slices.Concat(credentialLabels, []string{"registry"})
	reasonLabels     = slices.Concat(credentialLabels, []string{"reason"})
	causeLabels      = slices.Concat(credentialLabels, []string{"cause"})
	actionLabels     = slices.Concat(credentialLabels, []string{"action"})

	buildMetric  = prometheus.NewDesc("regcred_build_info", "1, with the version of the controller and of Go as labels.", []string{"version", "go_version"}, nil)
	activeMetric = prometheus.NewDesc("regcred_active",
		"1 on the replica that works, 0 on one that waits for its turn.", nil, nil)
	readyMetric = prometheus.NewDesc("regcred_credential_ready",
		"1 while pods can pull from every registry of the credential in every namespace that it selects, else 0.", credentialLabels, nil)
	expiryMetric = prometheus.NewDesc("regcred_token_expiry_timestamp_seconds",
		"When the first published token of a registry entry expires, over all its namespaces. No series for what does not expire, and none while no namespace has a token.", registryLabels, nil)
	refreshMetric = prometheus.NewDesc("regcred_token_refresh_timestamp_seconds",
		"When the first published token of a registry entry is due to be refreshed, over all its namespaces. No series for what is not refreshed by time.", registryLabels, nil)
	issueMetric = prometheus.NewDesc("regcred_token_issue_timestamp_seconds",
		"When the newest published token of a registry entry was issued, over all its namespaces: the last success.", registryLabels, nil)
	overrideMetric = prometheus.NewDesc("regcred_override_end_timestamp_seconds",
		"When the override of a registry entry ends: a login by hand is published instead of the provider's token, and after that time until the provider has one. No series without one.", registryLabels, nil)
	selectedMetric = prometheus.NewDesc("regcred_targets_selected",
		"Secrets that a credential has to keep: one in each namespace that it selects.", credentialLabels, nil)
	currentMetric = prometheus.NewDesc("regcred_targets_current",
		"Secrets of a credential with which pods can pull from every registry.", credentialLabels, nil)
	failedMetric = prometheus.NewDesc("regcred_targets_failed",
		"Secrets of a credential that cannot be brought up to date, by the first reason; pods may still pull while the published token lives. No series for a reason that does not occur.",
		reasonLabels, nil)
	rotationsMetric = prometheus.NewDesc("regcred_rotations_total",
		"Secrets into which a new token was written, by cause: `Due` when so much of the token's life is left as the entry says, `SourceChanged` with the entry or its identity, `RefreshRequested` by annotation, `Refused` when a registry refuses the one before, `New` for an entry that was added.",
		causeLabels, nil)
	repairsMetric = prometheus.NewDesc("regcred_repairs_total",
		"Secrets that were restored after somebody else had changed them, by cause: `Deleted`, `Edited`, `Relabelled`, `OwnerChanged`, `TemplateEdited`.",
		causeLabels, nil)

	linksMetric = prometheus.NewDesc("regcred_links_total",
		"Changes of ServiceAccounts, by action: `made`, `restored` after somebody else had removed the link, `removed`. Links that the admission policy makes are none of them.",
		actionLabels, nil)
	pullFailuresMetric = prometheus.NewDesc("regcred_pull_failures_total",
		"Failed pulls of pods in namespaces that hold a Secret of a credential, by cause; those of one pod and image at most once a minute. The labels of the credential are empty for causes that no credential could have prevented.",
		causeLabels, nil)
	evictionsMetric = prometheus.NewDesc("regcred_evictions_total",
		"Pods that were evicted because they had been created before their link.", credentialLabels, nil)

	rotationCauses = []target.Cause{target.CauseDue, target.CauseSourceChanged, target.CauseRefreshRequested, target.CauseRefused, target.CauseNew}
	repairCauses   = []target.Cause{target.CauseMissing, target.CauseEdited, target.CauseRelabelled, target.CauseOwnerChanged, target.CauseTemplateEdited}
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildMetric, activeMetric, readyMetric, expiryMetric, refreshMetric, issueMetric, overrideMetric, selectedMetric, currentMetric, failedMetric,
		rotationsMetric, repairsMetric, linksMetric, pullFailuresMetric, evictionsMetric,
	} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(buildMetric, 1, m.Version, runtime.Version())
	active := 0.
	select {
	case <-m.Elected:
		active = 1
	default:
	}
	gauge(activeMetric, active)
	rows, nobodys := m.Ledger.rows(m.Clock.Now())
	for cause, count := range nobodys {
		metrics <- prometheus.MustNewConstMetric(pullFailuresMetric, prometheus.CounterValue, float64(count), "", "", "", cause)
	}
	for _, r := range rows {
		r.collect(metrics)
	}
}

// collect shows one credential.
func (v row) collect(metrics chan<- prometheus.Metric) {
	show := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
		labels := append([]string{v.key.Kind(), v.key.Namespace, v.key.Name}, more...)
		metrics <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	show(readyMetric, prometheus.GaugeValue, v.ready())
	show(selectedMetric, prometheus.GaugeValue, float64(v.selected))
	show(currentMetric, prometheus.GaugeValue, float64(v.current))
	for reason, count := range v.failed {
		show(failedMetric, prometheus.GaugeValue, float64(count), reason)
	}
	for _, e := range v.entries {
		for metric, at := range map[*prometheus.Desc]time.Time{expiryMetric: e.expiresAt, refreshMetric: e.refreshAt} {
			if !at.Equal(providers.Never) {
				show(metric, prometheus.GaugeValue, float64(at.Unix()), e.name)
			}
		}
		if !e.issuedAt.IsZero() {
			show(issueMetric, prometheus.GaugeValue, float64(e.issuedAt.Unix()), e.name)
		}
		if !e.overrideUntil.IsZero() {
			show(overrideMetric, prometheus.GaugeValue, float64(e.overrideUntil.Unix()), e.name)
		}
	}
	for _, c := range rotationCauses {
		show(rotationsMetric, prometheus.CounterValue, float64(v.writes[c]), string(c))
	}
	for _, c := range repairCauses {
		show(repairsMetric, prometheus.CounterValue, float64(v.writes[c]), string(c))
	}
	for action, count := range map[string]int{"made": v.links.Made, "restored": v.links.Restored, "removed": v.links.Removed} {
		show(linksMetric, prometheus.CounterValue, float64(count), action)
	}
	for cause, count := range v.pullFailures {
		show(pullFailuresMetric, prometheus.CounterValue, float64(count), cause)
	}
	show(evictionsMetric, prometheus.CounterValue, float64(v.evictions))
}

// row is what metrics show of one credential.
type row struct {
	key               credential.Key
	selected, current int
	// sound is whether any target holds a token and has no fault of its own.
	sound bool
	// failed counts targets by the first reason of their failure.
	failed map[string]int
	// entries are those with a token in any target: the first times that come, and when the token was issued.
	entries []entryStanding
	writes  map[target.Cause]int
	links   link.Changes

	pullFailures map[string]int
	evictions    int
}

func (v row) ready() float64 {
	if v.current < v.selected {
		return 0
	}
	return 1
}

// rows looks at every credential; nobodys are failed pulls that none of them could have prevented.
func (l *Ledger) rows(now time.Time) (rows []row, nobodys map[string]int) {
	l.mu.Lock()
	keys := slices.Collect(maps.Keys(l.books))
	nobodys = maps.Clone(l.pullFailures)
	l.mu.Unlock()
	rows = make([]row, 0, len(keys))
	for _, key := range keys {
		if b := l.enter(key); b != nil {
			rows = append(rows, b.row(key, now))
			b.Unlock()
		}
	}
	return rows, nobodys
}

func (b *book) row(key credential.Key, now time.Time) row {
	v := row{
		key: key, selected: max(b.selected, len(b.targets)), failed: map[string]int{},
		writes: maps.Clone(b.writes), links: b.links, pullFailures: maps.Clone(b.pullFailures), evictions: b.evictions,
	}
	for _, t := range b.targets {
		v.sound = v.sound || t.sound()
	}
	for _, t := range b.targets {
		v.add(t, now)
	}
	for i := range v.entries {
		v.entries[i].issuedAt = b.issuedAt(v.entries[i].name)
	}
	return v
}

func (v *row) add(t standing, now time.Time) {
	live, failing := true, t.failure
	for _, e := range t.entries {
		live = live && e.expiresAt.After(now)
		if failing == nil {
			failing = e.failure
		}
		if !e.expiresAt.IsZero() && t.speaks(v.sound) {
			v.addEntry(e)
		}
	}
	if live && !t.unlinked {
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
			if e.overrideUntil.After(known.overrideUntil) {
				known.overrideUntil = e.overrideUntil
			}
			return
		}
	}
	v.entries = append(v.entries, e)
}

// count notes why a Secret was written, for the causes that are counted.
func (b *book) count(out target.Outcome, before standing) {
	if out.Wrote == "" || out.Wrote == target.CauseMissing && !before.served() {
		// A Secret that was never there is issued, and not repaired.
		return
	}
	b.writes[out.Wrote]++
}
