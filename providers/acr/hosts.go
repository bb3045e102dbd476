package acr

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// flagSuffixes is the flag that fills Options.ExtraSuffixes.
const flagSuffixes = "--acr-host-suffixes"

// entra is where Microsoft Entra is in one of Azure's clouds.
type entra struct {
	authority string
	// audience is what Entra wants the token of a ServiceAccount to be for.
	audience string
}

// site is a suffix of registry hosts, and the cloud that it belongs to.
type site struct {
	suffix string
	entra  entra
	// extra is a suffix that the administrator has added.
	extra bool
}

// azure are Azure's own clouds. Sources: "Azure Container Registry endpoint reference", "National clouds" of the Microsoft identity
// platform, and "Workload identity federation" for the audiences.
var azure = []site{
	{suffix: "azurecr.io", entra: entra{"https://login.microsoftonline.com/", "api://AzureADTokenExchange"}},
	{suffix: "azurecr.cn", entra: entra{"https://login.partner.microsoftonline.cn/", "api://AzureADTokenExchangeChina"}},
	{suffix: "azurecr.us", entra: entra{"https://login.microsoftonline.us/", "api://AzureADTokenExchangeUSGov"}},
}

// sitesOf are Azure's own sites and the administrator's.
func sitesOf(extra []string) ([]site, error) {
	sites := slices.Clip(azure)
	for _, suffix := range extra {
		suffix = strings.TrimPrefix(suffix, ".")
		h, err := registryhost.Parse(suffix)
		if err != nil || h.HasPort() || !strings.Contains(suffix, ".") {
			return nil, fmt.Errorf("%s: %q is not the suffix of a host: use two labels or more, such as azurecr.example.com", flagSuffixes, suffix)
		}
		sites = append(sites, site{suffix: suffix, extra: true})
	}
	return sites, nil
}

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
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return entra{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s of the controller is not an https URL: correct it", envAuthorityHost)
	}
	for _, s := range azure {
		if strings.TrimSuffix(authority, "/") == strings.TrimSuffix(s.entra.authority, "/") {
			return s.entra, nil
		}
	}
	return entra{authority, azure[0].entra.audience}, nil
}

// hostOf is the host of a URL that is known to be one.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	return u.Host
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
