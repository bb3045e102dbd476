package main

import (
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/providers/ecr"
)

// newProviders is where names meet implementations. What every provider needs is around them, and not in them.
func newProviders(metrics *providers.Metrics, c clock.PassiveClock) map[string]providers.Provider {
	all := map[string]providers.Provider{
		artifactory.Name: artifactory.New(c, nil),
		ecr.Name:         ecr.New(c),
	}
	for name, p := range all {
		all[name] = &providers.Verifier{Provider: metrics.Observe(name, p), Observe: metrics.ObserveTrials(name)}
	}
	return all
}
