package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
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
	if series != 5 {
		t.Errorf("%d series, want 2 and 3 of the one provider, whatever its endpoints", series)
	}
	return values
}

func TestMetricsShowWhatTheBrokerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		b := newBroker(t, p)
		check := func(when string, want map[string]float64) {
			t.Helper()
			if diff := cmp.Diff(want, sizes(t, b)); diff != "" {
				t.Errorf("%s: want (-), got (+):\n%s", when, diff)
			}
		}
		check("at the start", map[string]float64{})
		for _, region := range []string{"eu-west-1", "eu-west-2"} {
			if _, err := ask(b, request(region), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		check("with two tokens", map[string]float64{
			"regcred_broker_slots": 2, "regcred_broker_tokens": 2, "regcred_provider_endpoints ecr working": 2})

		p.err = providers.Errorf(v1alpha1.ReasonUnavailable, "down")
		for i := range 5 {
			_, _ = ask(b, tenant("eu-west-1", i), time.Time{})
		}
		check("when an endpoint is down", map[string]float64{"regcred_broker_slots": 7, "regcred_broker_tokens": 2,
			"regcred_provider_endpoints ecr working": 1, "regcred_provider_endpoints ecr resting": 1})
		pass(5 * time.Minute)
		check("after its rest", map[string]float64{"regcred_broker_slots": 7, "regcred_broker_tokens": 2,
			"regcred_provider_endpoints ecr working": 1, "regcred_provider_endpoints ecr trial": 1})
		p.err = nil
		if _, err := ask(b, tenant("eu-west-1", 0), time.Time{}); err != nil {
			t.Fatal(err)
		}
		check("when it is back", map[string]float64{
			"regcred_broker_slots": 7, "regcred_broker_tokens": 3, "regcred_provider_endpoints ecr working": 2})
		pass(time.Hour)
		check("when all tokens have died", map[string]float64{"regcred_broker_slots": 7, "regcred_provider_endpoints ecr working": 2})
	})
}
