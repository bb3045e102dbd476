package main

import (
	"fmt"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/providers/artifactregistry"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/providers/ecrpublic"
	"github.com/regcred/regcred/providers/plugin"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/providers/verify"
)

// newProviders is where names meet implementations. What every provider needs is around them, and not in them.
func newProviders(o options, metrics *broker.Metrics, c clock.PassiveClock) (map[string]providers.Provider, error) {
	azure, err := acr.New(c, acr.Options{ExtraSuffixes: splitList(o.acrHostSuffixes)})
	if err != nil {
		return nil, fmt.Errorf("--acr-host-suffixes: %w", err)
	}
	aws := ecr.Configuration(nil)
	all := map[string]providers.Provider{
		acr.Name:              azure,
		artifactory.Name:      artifactory.New(c, nil),
		artifactregistry.Name: artifactregistry.New(c, nil),
		ecr.Name:              ecr.New(c, aws),
		ecrpublic.Name:        ecrpublic.New(c, aws),
		static.Name:           static.New(c),
	}
	if o.pluginConfig != "" || o.pluginBinDir != "" {
		plugins, err := plugin.New(o.pluginConfig, o.pluginBinDir, c)
		if err != nil {
			return nil, err
		}
		all[plugin.Name] = plugins
	}
	for name, p := range all {
		all[name] = &verify.Verifier{Provider: metrics.Observe(name, p), Observe: metrics.ObserveTrials(name)}
	}
	return all, nil
}
