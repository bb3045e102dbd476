package partition

import (
	"regexp"
	"strings"
)

// Azure is one of Azure's own clouds.
type Azure struct {
	// Suffix ends the hosts of its registries.
	Suffix string
	// Authority is where its Microsoft Entra is.
	Authority string
	// Audience is what Entra wants the token of a ServiceAccount to be for.
	Audience string
}

// Azures are all. Sources: "Azure Container Registry endpoint reference", "National clouds" of the Microsoft identity platform, and "Workload
// identity federation" for the audiences.
var Azures = []Azure{
	{"azurecr.io", "https://login.microsoftonline.com/", "api://AzureADTokenExchange"},
	{"azurecr.cn", "https://login.partner.microsoftonline.cn/", "api://AzureADTokenExchangeChina"},
	{"azurecr.us", "https://login.microsoftonline.us/", "api://AzureADTokenExchangeUSGov"},
}

// OfRegistry is the cloud of a registry's host, and whether it is of one of Azure's own.
func OfRegistry(host string) (Azure, bool) {
	for _, a := range Azures {
		if strings.HasSuffix(host, "."+a.Suffix) {
			return a, true
		}
	}
	return Azure{}, false
}

// registryName is what stands before the suffix: a registry's name, with that of a replica where one is meant.
var registryName = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9]+\.(geo|data))?$`)

// IsACRHost says whether the host is one that a registry of one of Azure's own clouds has.
func IsACRHost(host string) bool {
	cloud, ok := OfRegistry(host)
	return ok && registryName.MatchString(strings.TrimSuffix(host, "."+cloud.Suffix))
}
