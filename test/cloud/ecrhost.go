package cloud

import (
	"fmt"
	"regexp"
	"strings"
)

// partitions are the DNS suffixes of the registries by region prefix, as in the SDK's partition metadata. The first match counts.
var partitions = []struct{ regionPrefix, suffix, arn string }{
	{"us-isob-", "sc2s.sgov.gov", "aws-iso-b"},
	{"us-isof-", "csp.hci.ic.gov", "aws-iso-f"},
	{"us-iso-", "c2s.ic.gov", "aws-iso"},
	{"eu-isoe-", "cloud.adc-e.uk", "aws-iso-e"},
	{"eusc-", "amazonaws.eu", "aws-eusc"},
	{"us-gov-", "amazonaws.com", "aws-us-gov"},
	{"cn-", "amazonaws.com.cn", "aws-cn"},
	{"", "amazonaws.com", "aws"},
}

func partitionOf(region string) (suffix, arn string) {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regionPrefix) {
			return p.suffix, p.arn
		}
	}
	panic("unreachable: the last prefix is empty")
}

// ECRHost is the registry of an account in a region.
func ECRHost(account, region string) string {
	suffix, _ := partitionOf(region)
	return fmt.Sprintf("%s.dkr.ecr.%s.%s", account, region, suffix)
}

// registryHost matches the data hosts: the usual, FIPS and dual-stack ones.
var registryHost = regexp.MustCompile(`^(\d{12})\.dkr(?:\.ecr|-ecr)(?:-fips)?\.([a-z0-9-]+)\.([a-z0-9.-]+)$`)

var dualStackSuffixes = map[string]string{
	"amazonaws.com": "on.aws", "amazonaws.com.cn": "on.amazonwebservices.com.cn", "amazonaws.eu": "on.amazonwebservices.eu",
}

func parseECRHost(host string) (account, region string, ok bool) {
	match := registryHost.FindStringSubmatch(host)
	if match == nil {
		return "", "", false
	}
	suffix, _ := partitionOf(match[2])
	if strings.Contains(host, ".dkr-ecr") {
		suffix = dualStackSuffixes[suffix]
	}
	return match[1], match[2], suffix == match[3]
}
