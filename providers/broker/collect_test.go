package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/regcred/regcred/providers/broker"
)

// sizes is what the Broker's metrics show, without what is 0, by name and, for endpoints, state.
func sizes(t *testing.T, b *broker.Broker) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	series := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series++
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			if v := m.GetGauge().GetValue(); v != 0 {
				values[name] = v
			}
		}
	}
	if series != 7 {
		t.Errorf("%d series, want 4 and 3 of the one provider, whatever its endpoints", series)
	}
	return values
}

func TestMetricsShowWhatTheBrokerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		check := func(when string, want map[string]float64) {
			t.Helper()
			got := sizes(t, b)
			if delete(got, "regcred_broker_token_bytes"); !cmp.Equal(want, got) {
				t.Errorf("%s: want (-), got (+):\n%s", when, cmp.Diff(want, got))
			}
		}
		check("at the start", map[string]float64{})
		for _, region := range []string{"eu-west-1", "eu-west-2"} {
			must(t, b, request(region), time.Time{})
		}
		check("with two tokens", map[string]float64{
			"regcred_broker_slots": 2, "regcred_broker_tokens": 2, "regcred_provider_endpoints ecr working": 2})

		p.err = down()
		for i := range 5 {
			_, _ = ask(b, entry("", "eu-west-1", i), time.Time{})
		}
		check("when an endpoint is down", map[string]float64{"regcred_broker_slots": 7, "regcred_broker_tokens": 2,
			"regcred_provider_endpoints ecr working": 1, "regcred_provider_endpoints ecr resting": 1})
		pass(5 * time.Minute)
		check("after its rest", map[string]float64{"regcred_broker_slots": 7, "regcred_broker_tokens": 2,
			"regcred_provider_endpoints ecr working": 1, "regcred_provider_endpoints ecr trial": 1})
		p.err = nil
		must(t, b, entry("", "eu-west-1", 0), time.Time{})
		check("when it is back", map[string]float64{
			"regcred_broker_slots": 7, "regcred_broker_tokens": 3, "regcred_provider_endpoints ecr working": 2})
		pass(time.Hour)
		check("when all is forgotten", map[string]float64{})
	})
}
