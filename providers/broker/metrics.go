package broker

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Metrics counts and times the calls of every provider. It decorates providers, so that neither they nor the Broker know of it.
type Metrics struct {
	clock   clock.PassiveClock
	calls   *prometheus.CounterVec
	errors  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	trials  *prometheus.CounterVec
}

// NewMetrics registers the metrics of providers.
func NewMetrics(r prometheus.Registerer, c clock.PassiveClock) *Metrics {
	m := &Metrics{
		clock: c,
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
	return m
}

// Observe returns p with its calls counted under name.
func (m *Metrics) Observe(name string, p providers.Provider) providers.Provider {
	m.calls.WithLabelValues(name)
	return &observed{Provider: p, name: name, metrics: m}
}

// ObserveTrials returns a function that counts the trials of a provider's tokens, for a Verifier.
func (m *Metrics) ObserveTrials(name string) func(result string) {
	return func(result string) { m.trials.WithLabelValues(name, result).Inc() }
}

type observed struct {
	providers.Provider
	name    string
	metrics *Metrics
}

// Revoke implements Revoker if the provider does.
func (o *observed) Revoke(ctx context.Context, req providers.Request, id string) error {
	return providers.Revoke(ctx, o.Provider, req, id)
}

func (o *observed) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	start := o.metrics.clock.Now()
	token, err := o.Provider.Token(ctx, req)
	o.metrics.calls.WithLabelValues(o.name).Inc()
	o.metrics.seconds.WithLabelValues(o.name).Observe(max(0, o.metrics.clock.Since(start)).Seconds())
	if err != nil {
		reason := v1alpha1.ReasonInternal
		if known, ok := errors.AsType[*providers.Error](err); ok {
			reason = known.Reason
		}
		o.metrics.errors.WithLabelValues(o.name, reason).Inc()
	}
	return token, err
}
