package acr

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/partition"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// The flags that fill Options.ExtraSuffixes and Options.Clouds.
const (
	flagSuffixes = "--acr-host-suffixes"
	flagClouds   = "--azure-clouds"
)

// entra is where Microsoft Entra is in one of Azure's clouds, and what it is asked.
type entra struct {
	authority string
	// audience is what Entra wants the token of a ServiceAccount to be for.
	audience string
	// resource is what its own token is for.
	resource string
}

// scope is the resource as Entra is asked for it.
func (e entra) scope() string { return e.resource + "/.default" }

// site is a suffix of registry hosts, and the cloud that it belongs to.
type site struct {
	suffix string
	entra  entra
	// extra is a suffix that the administrator has added without saying which cloud it is of.
	extra bool
}

// registries is the resource of registries alone, and the same in Azure's own clouds (azcontainerregistry, cloud_config.go). A token of
// Azure Resource Manager is refused by registries with azureADAuthenticationAsArmPolicy disabled.
const registries = "https://containerregistry.azure.net"

// azure are Azure's own clouds.
var azure = func() []site {
	sites := make([]site, len(partition.Azures))
	for i, a := range partition.Azures {
		sites[i] = site{suffix: a.Suffix, entra: entra{a.Authority, a.Audience, registries}}
	}
	return sites
}()

// registry is a login server that a token of Entra may be sent to.
type registry struct {
	host registryhost.Host
	site site
}

// registry refuses every host that is not exactly one label below an allowed suffix.
func (p *Provider) registry(spec *v1alpha1.ACR) (registry, error) {
	if h, err := registryhost.Parse(string(spec.Registry)); err == nil && !h.HasPort() {
		for _, s := range p.sites {
			if !h.Under(s.suffix) {
				continue
			}
			if s.extra {
				s.entra, err = entraOfEnvironment()
			}
			return registry{host: h, site: s}, err
		}
	}
	err := providers.Errorf(v1alpha1.ReasonInvalidRequest, "acr.registry must be a login server such as myregistry.azurecr.io, one name directly "+
		"below %s and without a port: correct it, or have the administrator allow its suffix with %s", p.suffixes(), flagSuffixes)
	err.Terminal = true
	return registry{}, err
}

func (p *Provider) suffixes() string {
	var suffixes []string
	for _, s := range p.sites {
		suffixes = append(suffixes, s.suffix)
	}
	if len(suffixes) > 6 { // the message must remain one that can be read
		suffixes = append(suffixes[:6], "…")
	}
	return strings.Join(suffixes, ", ")
}

// entraOfEnvironment is for the administrator's own suffixes: AZURE_AUTHORITY_HOST, as the SDKs know it, or else the public cloud.
func entraOfEnvironment() (entra, error) {
	authority := os.Getenv(envAuthorityHost)
	if authority == "" {
		return azure[0].entra, nil
	}
	if _, err := authorityOf(authority); err != nil {
		return entra{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s of the controller is not an https URL: correct it", envAuthorityHost)
	}
	i := slices.IndexFunc(azure, func(s site) bool {
		return strings.TrimSuffix(authority, "/") == strings.TrimSuffix(s.entra.authority, "/")
	})
	if i >= 0 {
		return azure[i].entra, nil
	}
	return entra{authority, azure[0].entra.audience, registries}, nil
}

var errAuthority = errors.New("it is not https:// and a host")

// authorityOf is the host of an authority.
func authorityOf(authority string) (string, error) {
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", errAuthority
	}
	return u.Host, nil
}

// hosts are the login server and its regional endpoints.
func (r registry) hosts(regions []string) []string {
	hosts := []string{r.host.String()}
	name := strings.TrimSuffix(r.host.Name(), "."+r.site.suffix)
	for _, region := range regions {
		hosts = append(hosts, name+"."+region+".geo."+r.site.suffix)
	}
	return hosts
}
