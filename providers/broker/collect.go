package broker

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The states of an endpoint, as metrics name them. Endpoints themselves are counted and not named: tenants choose their hosts.
const (
	stateWorking = "working"
	stateResting = "resting"
	stateTrial   = "trial"
)

var (
	endpointsMetric = prometheus.NewDesc("regcred_provider_endpoints",
		"Endpoints of a provider that were called lately, by the state of their circuit breaker: `working`, `resting` after failures or on the endpoint's own request, `trial` when the next call decides whether the rest has helped.",
		[]string{"provider", "state"}, nil)
	slotsMetric = prometheus.NewDesc("regcred_broker_slots",
		"Distinct requests for a token that are remembered, whether or not they have one.", nil, nil)
	tokensMetric = prometheus.NewDesc("regcred_broker_tokens",
		"Live tokens in memory, of distinct sources.", nil, nil)
)

// Describe implements prometheus.Collector.
func (b *Broker) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{endpointsMetric, slotsMetric, tokensMetric} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Broker) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	slots, tokens, endpoints := b.sizes()
	gauge(slotsMetric, slots)
	gauge(tokensMetric, tokens)
	for provider := range b.providers {
		for _, state := range []string{stateWorking, stateResting, stateTrial} {
			gauge(endpointsMetric, endpoints[[2]string{provider, state}], provider, state)
		}
	}
}

// sizes counts what is in memory; endpoints by provider and state.
func (b *Broker) sizes() (slots, tokens int, endpoints map[[2]string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	for _, token := range b.held {
		if token.ExpiresAt.After(now) {
			tokens++
		}
	}
	endpoints = map[[2]string]int{}
	for name, e := range b.endpoints {
		provider, _, _ := strings.Cut(name, "/")
		endpoints[[2]string{provider, e.state(now)}]++
	}
	return len(b.slots), tokens, endpoints
}

// state is what the next call would meet.
func (e *endpoint) state(now time.Time) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.restUntil.After(now):
		return stateResting
	case e.failures >= restAfter:
		return stateTrial
	default:
		return stateWorking
	}
}
