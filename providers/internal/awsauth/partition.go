package awsauth

import "strings"

// Partition is one of AWS' clouds: regions that share identities and the suffixes of hosts.
type Partition struct {
	regionPrefix string
	// Suffix ends the hosts of APIs and registries, DualStack those of the registries that serve IPv6, too; empty if there are none.
	Suffix, DualStack string
}

// partitions are in the order in which their regions are told apart. Source of the suffixes: the host pattern of
// amazon-ecr-credential-helper and the partitions of the AWS SDK.
var partitions = []Partition{
	{"cn-", "amazonaws.com.cn", "on.amazonwebservices.com.cn"},
	{"eusc-", "amazonaws.eu", "on.amazonwebservices.eu"},
	{"us-gov-", "amazonaws.com", "on.aws"},
	{"us-isob-", "sc2s.sgov.gov", ""},
	{"us-isof-", "csp.hci.ic.gov", ""},
	{"eu-isoe-", "cloud.adc-e.uk", ""},
	{"us-iso-", "c2s.ic.gov", ""},
	{"", "amazonaws.com", "on.aws"},
}

// PartitionOf is the partition of a region.
func PartitionOf(region string) Partition {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.regionPrefix) {
			return p
		}
	}
	return Partition{} // the last prefix is empty
}
