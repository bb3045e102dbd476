package ecr

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// partitions are AWS' own, in the order in which their regions are told apart. Source of the suffixes: the host pattern of
// amazon-ecr-credential-helper and the partitions of the AWS SDK.
var partitions = []struct {
	regionPrefix string
	suffix       string
	dualStack    string
}{
	{"cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
	{"us-isob-", "sc2s.sgov.gov", ""},
	{"us-isof-", "csp.hci.ic.gov", ""},
	{"eu-isoe-", "cloud.adc-e.uk", ""},
	{"us-iso-", "c2s.ic.gov", ""},
	{"", "amazonaws.com", "on.aws"},
}

var accountHost = regexp.MustCompile(`^([0-9]{12})\.dkr[.-]ecr(-fips)?\.`)

// hosts are the registries that the token is published for: those of the accounts in the spec, or the caller's own,
// which ECR names in proxyEndpoint.
func hosts(spec *v1alpha1.ECR, region, proxyEndpoint string) ([]string, error) {
	accounts := spec.Accounts
	if len(accounts) == 0 {
		endpoint, err := url.Parse(proxyEndpoint)
		if err != nil || accountHost.FindStringSubmatch(endpoint.Host) == nil {
			return nil, providers.Errorf(v1alpha1.ReasonInvalidResponse,
				"ecr:GetAuthorizationToken did not name the caller's registry: set ecr.accounts")
		}
		accounts = []string{accountHost.FindStringSubmatch(endpoint.Host)[1]}
	}
	hosts := make([]string, len(accounts))
	for i, account := range accounts {
		host, ok := host(account, region, spec.FIPS, spec.DualStack)
		if !ok {
			return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "region %s has no dual-stack registries: remove ecr.dualStack", region)
		}
		hosts[i] = host
	}
	return hosts, nil
}

func host(account, region string, fips, dualStack bool) (string, bool) {
	service := "ecr"
	if fips {
		service = "ecr-fips"
	}
	for _, p := range partitions {
		switch {
		case !strings.HasPrefix(region, p.regionPrefix):
		case !dualStack:
			return account + ".dkr." + service + "." + region + "." + p.suffix, true
		default:
			return account + ".dkr-" + service + "." + region + "." + p.dualStack, p.dualStack != ""
		}
	}
	return "", false
}
