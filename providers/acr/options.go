package acr

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/regcred/regcred/providers/internal/audience"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// Options are what New takes beside the clock.
type Options struct {
	// ExtraSuffixes are host suffixes, such as azurecr.example.com, whose registries are sent tokens of Microsoft Entra as those of
	// Azure's own suffixes are.
	ExtraSuffixes []string
	// Clouds are those that are none of Azure's own, each as <suffix of registries>=<authority>,<audience of federated
	// tokens>,<resource of registries>.
	Clouds []string
	// Transport reaches everything, the managed identity's endpoint included; nil for the network.
	Transport http.RoundTripper
}

// sites are Azure's own and the administrator's.
func (o Options) sites() ([]site, error) {
	sites := slices.Clip(azure)
	for _, text := range o.ExtraSuffixes {
		suffix, err := parseSuffix(text, sites)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flagSuffixes, err)
		}
		sites = append(sites, site{suffix: suffix, extra: true})
	}
	for _, text := range o.Clouds {
		s, err := parseCloud(text, sites)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flagClouds, err)
		}
		sites = append(sites, s)
	}
	return sites, nil
}

func parseSuffix(text string, known []site) (string, error) {
	suffix := strings.TrimPrefix(text, ".")
	h, err := registryhost.Parse(suffix)
	if err != nil || h.HasPort() || !strings.Contains(suffix, ".") {
		return "", fmt.Errorf("%q is not the suffix of a host: use two labels or more, such as azurecr.example.com", suffix)
	}
	if slices.ContainsFunc(known, func(s site) bool { return s.suffix == suffix }) {
		return "", fmt.Errorf("%s is Azure's own, or is there twice", suffix)
	}
	return suffix, nil
}

func parseCloud(text string, known []site) (site, error) {
	name, rest, _ := strings.Cut(text, "=")
	suffix, err := parseSuffix(name, known)
	if err != nil {
		return site{}, err
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 {
		return site{}, fmt.Errorf("%s needs an authority, an audience and a resource, such as %s=https://login.example.com,api://AzureADTokenExchange,%s", suffix, suffix, registries)
	}
	authority, wanted, resource := parts[0], parts[1], strings.TrimSuffix(parts[2], "/")
	if _, err := authorityOf(authority); err != nil {
		return site{}, fmt.Errorf("the authority of %s: %w", suffix, err)
	}
	if _, err := authorityOf(resource); err != nil {
		return site{}, fmt.Errorf("the resource of %s: %w", suffix, err)
	}
	if owner := audience.OwnerOf(wanted); wanted == "" || strings.ContainsFunc(wanted, func(r rune) bool { return r <= ' ' || r >= 0x7f }) ||
		owner != "" && owner != audience.Azure {
		return site{}, fmt.Errorf("the audience of %s is none, or one of another cloud", suffix)
	}
	return site{suffix: suffix, entra: entra{authority, wanted, resource}}, nil
}

// Audiences are those of Microsoft Entra in Azure's own clouds and in the administrator's.
func (p *Provider) Audiences() []string {
	audiences := slices.Clone(audience.Of[audience.Azure])
	for _, s := range p.sites {
		if !s.extra && audience.OwnerOf(s.entra.audience) == "" {
			audiences = append(audiences, "^"+regexp.QuoteMeta(s.entra.audience)+"$")
		}
	}
	return audiences
}
