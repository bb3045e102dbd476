package plugin

import (
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

var _ providers.Limited = (*Provider)(nil)

// Annotations are those that the configuration of any plugin lets it see.
func (p *Provider) Annotations() []string {
	var keys []string
	for _, one := range p.plugins {
		if attributes := one.config.TokenAttributes; attributes != nil {
			keys = append(keys, attributes.RequiredServiceAccountAnnotationKeys...)
			keys = append(keys, attributes.OptionalServiceAccountAnnotationKeys...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// CallTimeout is what the kubelet gives a plugin.
func (*Provider) CallTimeout() time.Duration { return time.Minute }

// AtOnce is how many processes of a plugin may run: who waits for one waits in the Broker, where the tenants take turns.
func (*Provider) AtOnce() int { return maxAtOnce }

// Cure is how a pull is allowed.
func (*Provider) Cure() string { return "let the plugin's identity read the repository" }

// Hosts are that of the image, and those that the entry names.
func (*Provider) Hosts(entry *v1alpha1.Registry) []string {
	image, err := parseImage(entry.Plugin.Image)
	if err != nil {
		return nil
	}
	all, err := targets(image, entry.Plugin.Hosts)
	if err != nil {
		return nil
	}
	named := make([]string, len(all))
	for i, t := range all {
		named[i] = t.host
	}
	return named
}

// Endpoint is the plugin: nobody else knows whom it asks.
func (*Provider) Endpoint(req providers.Request) string { return req.Registry.Plugin.Name }
