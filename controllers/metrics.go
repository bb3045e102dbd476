package controllers

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
)

// Metrics shows the Ledger at scrape time, so that no series outlives its credential.
type Metrics struct {
	Ledger *Ledger
	Clock  clock.PassiveClock
}

var (
	credentialLabels = []string{"kind", "namespace", "name", "registry"}
	expiryMetric     = prometheus.NewDesc("regcred_token_expiry_timestamp_seconds",
		"When the first published token of a registry entry expires, over all its namespaces; 0 when a namespace has none.", credentialLabels, nil)
	refreshMetric = prometheus.NewDesc("regcred_token_refresh_timestamp_seconds",
		"When the first published token of a registry entry is due to be refreshed, over all its namespaces; 0 when a namespace has none.", credentialLabels, nil)
	targetsMetric = prometheus.NewDesc("regcred_targets",
		"Secrets that a credential keeps, by whether pods can pull with them.", []string{"kind", "namespace", "name", "current"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{expiryMetric, refreshMetric, targetsMetric} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	now := m.Clock.Now()
	m.Ledger.mu.Lock()
	defer m.Ledger.mu.Unlock()
	for key, b := range m.Ledger.books {
		expiry, refresh := map[string]float64{}, map[string]float64{}
		current := 0
		for _, t := range b.targets {
			names := make([]string, 0, len(t.entries))
			for _, e := range t.entries {
				names = append(names, e.name)
				soonest(expiry, e.name, unix(e.expiresAt))
				soonest(refresh, e.name, unix(e.refreshAt))
			}
			if t.current(names, now) {
				current++
			}
		}
		for name := range expiry {
			metrics <- prometheus.MustNewConstMetric(expiryMetric, prometheus.GaugeValue, expiry[name], key.Kind(), key.Namespace, key.Name, name)
			metrics <- prometheus.MustNewConstMetric(refreshMetric, prometheus.GaugeValue, refresh[name], key.Kind(), key.Namespace, key.Name, name)
		}
		for label, count := range map[string]int{"true": current, "false": len(b.targets) - current} {
			metrics <- prometheus.MustNewConstMetric(targetsMetric, prometheus.GaugeValue, float64(count), key.Kind(), key.Namespace, key.Name, label)
		}
	}
}

func soonest(of map[string]float64, name string, at float64) {
	if known, ok := of[name]; !ok || at < known {
		of[name] = at
	}
}

// unix is 0 for no time and infinite for never.
func unix(t time.Time) float64 {
	switch {
	case t.IsZero():
		return 0
	case t.Equal(providers.Never):
		return math.Inf(1)
	default:
		return float64(t.Unix())
	}
}
