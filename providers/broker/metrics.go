package broker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/regcred/regcred/providers"
)

// Metrics count and time the calls of every provider, and the trials of new tokens.
type Metrics struct {
	calls   *prometheus.CounterVec
	errors  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	trials  *prometheus.CounterVec
}

// The results of a trial of a new token.
const (
	resultProven  = "proven"
	resultRefused = "refused"
	resultUnknown = "unknown"
)

// NewMetrics registers the metrics of providers. The calls of those named show from the start.
func NewMetrics(r prometheus.Registerer, names ...string) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regcred_provider_calls_total",
			Help: "Calls to a provider for a token, failed ones included.",
		}, []string{"provider"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regcred_provider_errors_total",
			Help: "Failed calls to a provider for a token, by reason.",
		}, []string{"provider", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "regcred_provider_call_duration_seconds",
			Help:    "How long calls to a provider for a token take.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"provider"}),
		trials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regcred_verifications_total",
			Help: "Trials of new tokens at their registry, for entries with `verify`, by how they ended: `proven`, `refused` or `unknown`.",
		}, []string{"provider", "result"}),
	}
	r.MustRegister(m.calls, m.errors, m.seconds, m.trials)
	for _, name := range names {
		m.calls.WithLabelValues(name)
	}
	return m
}

// called takes a call to a provider. A nil Metrics counts nothing.
func (m *Metrics) called(req providers.Request, took time.Duration, err error) {
	if m == nil {
		return
	}
	name, _ := req.Registry.Provider()
	m.calls.WithLabelValues(name).Inc()
	m.seconds.WithLabelValues(name).Observe(max(0, took).Seconds())
	if err != nil {
		m.errors.WithLabelValues(name, asError(err).Reason).Inc()
	}
}

// tried takes a trial of a new token.
func (m *Metrics) tried(req providers.Request, result string) {
	if m == nil {
		return
	}
	name, _ := req.Registry.Provider()
	m.trials.WithLabelValues(name, result).Inc()
}
