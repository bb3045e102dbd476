package ecr

import (
	"net/url"
	"regexp"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/partition"
	"github.com/regcred/regcred/providers"
)

// plainHost is a registry's host as ECR names it in proxyEndpoint, with FIPS or without.
var plainHost = regexp.MustCompile(`^([0-9]{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.([a-z0-9]+(?:[.-][a-z0-9]+)+)$`)

// own is the caller's own registry, as ECR names it in its answer.
type own struct{ account, region, suffix string }

func ownOf(proxyEndpoint string) (own, bool) {
	endpoint, err := url.Parse(proxyEndpoint)
	if err != nil {
		return own{}, false
	}
	match := plainHost.FindStringSubmatch(endpoint.Host)
	if match == nil {
		return own{}, false
	}
	return own{match[1], match[2], match[3]}, true
}

// hosts are the registries that the token is published for: those of the accounts in the spec, or the caller's own. The suffix is
// what ECR says, so that a partition that is newer than this code works; it is asked of nobody for dual-stack hosts, which ECR never names.
func hosts(spec *v1alpha1.ECR, region, proxyEndpoint string) ([]string, error) {
	named, ok := ownOf(proxyEndpoint)
	accounts := spec.Accounts
	if len(accounts) == 0 {
		if !ok {
			return nil, providers.Errorf(v1alpha1.ReasonInvalidResponse,
				"ecr:GetAuthorizationToken did not name the caller's registry: set ecr.accounts")
		}
		accounts = []string{named.account}
	}
	cloud := partition.OfRegion(region)
	if ok && named.region == region {
		cloud.Suffix = named.suffix
	}
	if spec.DualStack && cloud.DualStack == "" {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "region %s has no dual-stack registries: remove ecr.dualStack", region)
	}
	hosts := make([]string, len(accounts))
	for i, account := range accounts {
		hosts[i] = cloud.ECRHost(account, region, spec.FIPS, spec.DualStack)
	}
	return hosts, nil
}
