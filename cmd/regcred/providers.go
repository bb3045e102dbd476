package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

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

// providerOptions are what the administrator decides about providers.
type providerOptions struct {
	acrHostSuffixes         string
	azureClouds             string
	googleUniverses         string
	artifactoryAudiences    string
	artifactoryAWSPlatforms string
	pluginConfig            string
	pluginBinDir            string
	registryRealms          string
}

func (o *providerOptions) bind(f *flag.FlagSet) {
	f.StringVar(&o.acrHostSuffixes, "acr-host-suffixes", "",
		"Suffixes of Azure container registries that are sent tokens of Microsoft Entra besides Azure's own, separated by commas.")
	f.StringVar(&o.azureClouds, "azure-clouds", "",
		"Clouds with a Microsoft Entra of their own, each as <suffix of registries>=<authority>,<audience>,<resource>, separated by semicolons.")
	f.StringVar(&o.googleUniverses, "google-universes", "",
		"Universes of Google besides its own cloud, each as <domain of the APIs>=<suffix of registry hosts>, such as s3nsapis.fr=s3nsregistry.fr, separated by commas.")
	f.StringVar(&o.artifactoryAudiences, "artifactory-audiences", "",
		"Audiences that tokens for JFrog platforms may have besides their URL, such as https://acme.jfrog.io=jfrog, separated by commas.")
	f.StringVar(&o.artifactoryAWSPlatforms, "artifactory-aws-platforms", "",
		"URLs of JFrog platforms that may be shown the signature of an AWS role, besides https://<name>.jfrog.io, separated by commas.")
	f.StringVar(&o.pluginConfig, "image-credential-provider-config", "",
		"A CredentialProviderConfig, as of a kubelet, or a directory of them: the plugins that entries may name.")
	f.StringVar(&o.pluginBinDir, "image-credential-provider-bin-dir", "", "The directory of the plugins' executables.")
	f.StringVar(&o.registryRealms, "registry-realms", "",
		"Token endpoints on another host than their registry's that may be shown logins for trials, such as registry.example.com=gitlab.example.com, separated by commas.")
}

// newBroker returns a Broker over every provider, whose metrics are registered. retired is told of tokens that are no longer handed out.
func newBroker(ctx context.Context, o providerOptions, retired func(tenant string, name providers.TokenName)) (*broker.Broker, error) {
	all, err := implementations(o, system)
	if err != nil {
		return nil, err
	}
	realms, err := verify.ParseRealms(splitList(o.registryRealms))
	if err != nil {
		return nil, fmt.Errorf("--registry-realms: %w", err)
	}
	b := broker.New(logr.NewContext(ctx, ctrl.Log.WithName("providers")), broker.Options{
		Clock: system, Providers: all, Trials: verify.New(nil, realms), Retired: retired,
		Metrics: broker.NewMetrics(metrics.Registry, slices.Collect(maps.Keys(all))...),
	})
	metrics.Registry.MustRegister(b)
	return b, nil
}

// implementations is where names meet them.
func implementations(o providerOptions, c clock.PassiveClock) (map[string]providers.Provider, error) {
	azure, err := acr.New(c, acr.Options{
		ExtraSuffixes: splitList(o.acrHostSuffixes), Clouds: strings.FieldsFunc(o.azureClouds, func(r rune) bool { return r == ';' }),
	})
	if err != nil {
		return nil, err
	}
	google, err := artifactregistry.New(c, artifactregistry.Options{Universes: splitList(o.googleUniverses)})
	if err != nil {
		return nil, err
	}
	aws := ecr.Configuration(nil)
	jfrog, err := artifactory.New(c, artifactory.Options{
		Audiences: splitList(o.artifactoryAudiences), AWSPlatforms: splitList(o.artifactoryAWSPlatforms), AWS: aws,
	})
	if err != nil {
		return nil, err
	}
	all := map[string]providers.Provider{
		acr.Name:              azure,
		artifactory.Name:      jfrog,
		artifactregistry.Name: google,
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
	return all, nil
}
