package cloud

import (
	"regexp"
	"strings"
)

// The names by which the SDK finds the APIs by itself: service, FIPS, region and suffix. AWS has FIPS endpoints in the United States, and
// those of STS in Canada, too.
var (
	awsAPIName  = regexp.MustCompile(`^(?:(api)\.)?(ecr|sts)(-fips)?\.([a-z0-9-]+)\.([a-z0-9.-]+)$`)
	awsVPCEName = regexp.MustCompile(`^vpce-[0-9a-f]+-[a-z0-9-]+\.api\.ecr\.[a-z0-9-]+\.vpce\.amazonaws\.com(?:\.cn)?$`)
)

// awsAPISuffixes end the names of APIs that serve IPv6, too, by the usual suffix of the partition.
var awsAPISuffixes = map[string]string{"amazonaws.com": "api.aws", "amazonaws.com.cn": "api.amazonwebservices.com.cn"}

// parseAWSName tells which service a name is of; false if it is of none that is emulated.
func parseAWSName(host string) (service string, ok bool) {
	if awsVPCEName.MatchString(host) {
		return "ecr", true
	}
	match := awsAPIName.FindStringSubmatch(host)
	if match == nil {
		return "", false
	}
	api, service, fips, region, suffix := match[1] != "", match[2], match[3] != "", match[4], match[5]
	usual, _ := partitionOf(region)
	dualStack := suffix == awsAPISuffixes[usual]
	switch {
	case suffix != usual && !dualStack, api && (service == "sts" || fips || dualStack):
		return "", false
	case fips && !strings.HasPrefix(region, "us-") && (service == "ecr" || !strings.HasPrefix(region, "ca-")):
		return "", false
	}
	return service, true
}

// routeAPIs gives the APIs their real names.
func (a *AWS) routeAPIs() {
	a.internet.Route(func(host string) (string, bool) {
		switch service, _ := parseAWSName(host); service {
		case "ecr":
			return a.ecrServer.address(), true
		case "sts":
			return a.stsServer.address(), true
		default:
			return "", false
		}
	})
}
