package facts

// AWSEndpoint is a host of an AWS service in a region.
type AWSEndpoint struct {
	Service, Region string
	FIPS, DualStack bool
	Host            string
}

// AWSEndpoints are hosts of the APIs. Sources (2026-11-25): "Amazon ECR endpoints and quotas", "Amazon ECR Public endpoints and quotas" and
// "AWS STS endpoints and quotas" of the AWS general reference; "AWS STS Regions and endpoints" of the IAM user guide for api.aws; for China
// and the European sovereign cloud the endpoint rules of the AWS SDK for Go (service/ecr and service/sts, endpoints_test.go).
var AWSEndpoints = []AWSEndpoint{
	{"ecr", "eu-west-1", false, false, "api.ecr.eu-west-1.amazonaws.com"},
	{"ecr", "eu-west-1", false, true, "ecr.eu-west-1.api.aws"},
	{"ecr", "us-east-1", true, false, "ecr-fips.us-east-1.amazonaws.com"},
	{"ecr", "us-east-1", true, true, "ecr-fips.us-east-1.api.aws"},
	{"ecr", "us-west-2", true, false, "ecr-fips.us-west-2.amazonaws.com"},
	{"ecr", "us-gov-west-1", false, false, "api.ecr.us-gov-west-1.amazonaws.com"},
	{"ecr", "us-gov-west-1", true, false, "ecr-fips.us-gov-west-1.amazonaws.com"},
	{"ecr", "cn-north-1", false, false, "api.ecr.cn-north-1.amazonaws.com.cn"},
	{"ecr", "cn-north-1", false, true, "ecr.cn-north-1.api.amazonwebservices.com.cn"},
	{"ecr", "eusc-de-east-1", false, false, "api.ecr.eusc-de-east-1.amazonaws.eu"},
	{"sts", "eu-west-1", false, false, "sts.eu-west-1.amazonaws.com"},
	{"sts", "eu-west-1", false, true, "sts.eu-west-1.api.aws"},
	{"sts", "us-east-1", false, false, "sts.us-east-1.amazonaws.com"},
	{"sts", "us-east-1", true, false, "sts-fips.us-east-1.amazonaws.com"},
	{"sts", "us-east-1", true, true, "sts-fips.us-east-1.api.aws"},
	{"sts", "us-west-2", true, false, "sts-fips.us-west-2.amazonaws.com"},
	{"sts", "us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com"},
	{"sts", "us-gov-west-1", false, false, "sts.us-gov-west-1.amazonaws.com"},
	{"sts", "cn-north-1", false, false, "sts.cn-north-1.amazonaws.com.cn"},
	{"sts", "eusc-de-east-1", false, false, "sts.eusc-de-east-1.amazonaws.eu"},
	{"ecr-public", "us-east-1", false, false, "api.ecr-public.us-east-1.amazonaws.com"},
	{"ecr-public", "us-east-1", false, true, "ecr-public.us-east-1.api.aws"},
}

// AWSVPCEndpoint is the API at an interface VPC endpoint, by its own DNS name. Source: "Amazon ECR interface VPC endpoints" of the ECR user
// guide and "Access an AWS service using an interface VPC endpoint" of the PrivateLink guide (2026-11-25).
const AWSVPCEndpoint = "vpce-0123456789abcdef0-abcdefgh.api.ecr.eu-west-1.vpce.amazonaws.com"

// ECRHost is a registry's host.
type ECRHost struct {
	Region          string
	FIPS, DualStack bool
	Host            string
}

// ECRHosts are hosts of registries of the account 123456789012. Sources (2026-11-25): "Making requests to Amazon ECR registries" of the ECR user
// guide; the host pattern of amazon-ecr-credential-helper (ecr-login/api/client.go) for the partitions.
var ECRHosts = []ECRHost{
	{"eu-west-1", false, false, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
	{"us-gov-west-1", false, false, "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"},
	{"us-gov-west-1", true, false, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com"},
	{"us-east-1", true, true, "123456789012.dkr-ecr-fips.us-east-1.on.aws"},
	{"us-east-1", false, true, "123456789012.dkr-ecr.us-east-1.on.aws"},
	{"cn-north-1", false, false, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"},
	{"cn-north-1", false, true, "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"},
	{"eusc-de-east-1", false, false, "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"},
	{"us-iso-east-1", false, false, "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"},
	{"us-isob-east-1", false, false, "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"},
	{"us-isof-south-1", false, false, "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"},
	{"eu-isoe-west-1", false, false, "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"},
}

// STSAudience is that of a ServiceAccount's token that STS takes by default, in China, too: sts.amazonaws.com.cn is a host of STS, and only the
// audience of an OIDC provider in IAM that somebody has made for it. Sources (2026-11-26): amazon-eks-pod-identity-webhook, --token-audience;
// eksctl issue 1910 and PR 1912, and terraform-aws-eks issue 1704, for China.
const STSAudience = "sts.amazonaws.com"

// STSErrors are answers of STS to AssumeRoleWithWebIdentity that pass by themselves.
var STSErrors = map[string]Error{
	"IDPCommunicationError": {
		"STS API reference, AssumeRoleWithWebIdentity, Errors", 400, "text/xml",
		stsError("IDPCommunicationError", "The identity provider could not be reached"),
	},
	"InvalidIdentityToken": {
		"aws/aws-sdk-php PR 1858, aws/aws-cli issue 7194", 400, "text/xml",
		stsError("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"),
	},
}

func stsError(code, message string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + message + `</Message></Error><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ErrorResponse>`
}
