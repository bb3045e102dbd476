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
		"Distinct sources of tokens that are remembered, whether or not they have one.", nil, nil)
	tokensMetric = prometheus.NewDesc("regcred_broker_tokens",
		"Live tokens in memory, of distinct sources.", nil, nil)
	bytesMetric = prometheus.NewDesc("regcred_broker_token_bytes",
		"What the tokens in memory take, about.", nil, nil)
	waitingMetric = prometheus.NewDesc("regcred_broker_waiting_calls",
		"Calls to clouds and registries that wait for their turn.", nil, nil)
)

// Describe implements prometheus.Collector.
func (b *Broker) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{endpointsMetric, slotsMetric, tokensMetric, bytesMetric, waitingMetric} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Broker) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	slots, tokens, bytes := b.sizes()
	endpoints, waiting := b.scheduler.states()
	gauge(slotsMetric, slots)
	gauge(tokensMetric, tokens)
	gauge(bytesMetric, bytes)
	gauge(waitingMetric, waiting)
	for provider := range b.Providers {
		for _, state := range []string{stateWorking, stateResting, stateTrial} {
			gauge(endpointsMetric, endpoints[[2]string{provider, state}], provider, state)
		}
	}
}

// sizes counts what is in memory.
func (b *Broker) sizes() (slots, tokens, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.Clock.Now()
	b.sweep(now)
	for _, s := range b.slots {
		if s.present(now) {
			tokens++
		}
	}
	return len(b.slots), tokens, b.bytes.used
}

// states counts the endpoints by provider and state, and the calls that wait.
func (t *scheduler) states() (endpoints map[[2]string]int, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	endpoints = map[[2]string]int{}
	for name, e := range t.endpoints {
		provider, _, _ := strings.Cut(name, "/")
		endpoints[[2]string{provider, e.breaker.state(now)}]++
		waiting += e.waiting.len()
	}
	return endpoints, waiting
}

// state is what the next call would meet: the worst of what any tenant would.
func (b *breaker) state(now time.Time) string {
	state := b.all.state(now)
	for _, c := range b.tenants {
		if own := c.state(now); state == stateWorking || own == stateResting {
			state = own
		}
	}
	return state
}

func (c *circuit) state(now time.Time) string {
	switch {
	case c.restUntil.After(now):
		return stateResting
	case c.opened:
		return stateTrial
	default:
		return stateWorking
	}
}
