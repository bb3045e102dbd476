// Package partition says what differs between the separate clouds of one vendor. It holds tables alone, and no SDK, so that the kubectl plugin
// can read them, too.
package partition

import (
	"regexp"
	"strings"
)

// AWS is one of AWS' clouds: regions that share identities and the suffixes of hosts.
type AWS struct {
	regionPrefix string
	// ID is its name in ARNs.
	ID string
	// Suffix ends the hosts of APIs and registries, DualStack those of the registries that serve IPv6, too; empty if there are none.
	Suffix, DualStack string
}

// aws are in the order in which their regions are told apart. Source of the suffixes: the host pattern of amazon-ecr-credential-helper and the
// partitions of the AWS SDK.
var aws = []AWS{
	{"cn-", "aws-cn", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"eusc-", "aws-eusc", "amazonaws.eu", "on.amazonwebservices.eu"},
	{"us-gov-", "aws-us-gov", "amazonaws.com", "on.aws"},
	{"us-isob-", "aws-iso-b", "sc2s.sgov.gov", ""},
	{"us-isof-", "aws-iso-f", "csp.hci.ic.gov", ""},
	{"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", ""},
	{"us-iso-", "aws-iso", "c2s.ic.gov", ""},
	{"", "aws", "amazonaws.com", "on.aws"},
}

// OfRegion is the partition of a region of AWS.
func OfRegion(region string) AWS {
	for _, p := range aws {
		if strings.HasPrefix(region, p.regionPrefix) {
			return p
		}
	}
	return AWS{} // the last prefix is empty
}

// ECRHost is the host of an account's private registry. A partition without DualStack has no dual-stack host.
func (p AWS) ECRHost(account, region string, fips, dualStack bool) string {
	service := "ecr"
	if fips {
		service = "ecr-fips"
	}
	if dualStack {
		return account + ".dkr-" + service + "." + region + "." + p.DualStack
	}
	return account + ".dkr." + service + "." + region + "." + p.Suffix
}

// ECRRegistry is a private registry of ECR.
type ECRRegistry struct {
	Account, Region string
	FIPS, DualStack bool
}

var ecrHost = regexp.MustCompile(`^([0-9]{12})\.dkr([.-])ecr(-fips)?\.([a-z0-9-]+)\.`)

// OfECRHost is the registry that has the host, and whether one of a known partition has it.
func OfECRHost(host string) (ECRRegistry, bool) {
	parts := ecrHost.FindStringSubmatch(host)
	if parts == nil {
		return ECRRegistry{}, false
	}
	r := ECRRegistry{Account: parts[1], Region: parts[4], FIPS: parts[3] != "", DualStack: parts[2] == "-"}
	p := OfRegion(r.Region)
	if r.DualStack && p.DualStack == "" {
		return ECRRegistry{}, false
	}
	return r, host == p.ECRHost(r.Account, r.Region, r.FIPS, r.DualStack)
}
