package main

import (
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/providers/plugin"
)

// newProviders is where names meet implementations. What every provider needs is around them, and not in them.
func newProviders(o options, metrics *providers.Metrics, c clock.PassiveClock) (map[string]providers.Provider, error) {
	all := map[string]providers.Provider{
		artifactory.Name: artifactory.New(c, nil),
		ecr.Name:         ecr.New(c),
	}
	if o.pluginConfig != "" || o.pluginBinDir != "" {
		plugins, err := plugin.New(o.pluginConfig, o.pluginBinDir, c)
		if err != nil {
			return nil, err
		}
		all[plugin.Name] = plugins
	}
	for name, p := range all {
		all[name] = &providers.Verifier{Provider: metrics.Observe(name, p), Observe: metrics.ObserveTrials(name)}
	}
	return all, nil
}
