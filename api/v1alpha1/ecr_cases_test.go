package v1alpha1_test

import "slices"

const (
	regionMessage      = "region must be an AWS region, such as eu-west-1, us-gov-west-1 or cn-north-1"
	accountMessage     = "an account must be the 12 digits of an AWS account ID, quoted"
	roleMessage        = "roleARN must be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/pull"
	externalIDMessage  = "externalID must be 2 to 1224 letters, digits and any of _+=,.@:/-"
	loneIDMessage      = "externalID needs roleARN: it is presented when that role is assumed"
	apiEndpointMessage = "apiEndpoint must be https:// and a name of ECR's API, such as https://vpce-0123456789abcdef0-abcdefgh.api.ecr.eu-west-1.vpce.amazonaws.com"
	apiRegionMessage   = "apiEndpoint must be in region: a token is valid in the region that issues it"
	dualStackMessage   = "dualStack is not offered in the isolated regions: remove it"
	roleARN            = "arn:aws:iam::123456789012:role/"
)

func goodECR() []goodCase {
	cases := []goodCase{
		{ecr, "{}"},
		{ecr + ".accounts", ""},
		{ecr + ".accounts", "[" + numbered(64, `"%012d"`) + "]"},
		{ecr + ".roleARN", roleARN + "a/deep/path/pull"},
		{ecr + ".roleARN", roleARN + "_+=,.@-" + chars(57)},
		{ecr + ".roleARN", roleARN + chars(2048-len(roleARN)-5) + "/pull"},
		{ecr + ".roleARN", "arn:aws-us-gov:iam::123456789012:role/pull"},
		{ecr + ".roleARN", "arn:aws-cn:iam::123456789012:role/pull"},
		{ecr + ".roleARN", "arn:aws-iso-b:iam::123456789012:role/pull"},
		{ecr + ".roleARN", "arn:aws-eusc:iam::123456789012:role/pull"},
		{ecr + ".externalID", ""},
		{ecr + ".externalID", "aZ0_+=,.@:/-"},
		{ecr + ".externalID", "ab"},
		{ecr + ".externalID", chars(1224)},
		{ecr, "{region: us-iso-east-1, dualStack: false, fips: true}"},
		{ecr, "{dualStack: true}"},
		{ecr + ".apiEndpoint", ""},
	}
	for _, endpoint := range []string{"api.ecr.eu-west-1.amazonaws.com", "ecr.eu-west-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com",
		"ecr-fips.us-gov-west-1.api.aws", "api.ecr.cn-north-1.amazonaws.com.cn", "vpce-0a-b-eu-west-1a.api.ecr.eu-west-1.vpce.amazonaws.com",
		"vpce-0a-b.api.ecr.cn-north-1.vpce.amazonaws.com.cn", "api.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.us-iso-east-1.c2s.ic.gov"} {
		cases = append(cases, goodCase{ecr, "{apiEndpoint: https://" + endpoint + "}"})
	}
	for _, region := range []string{"eu-west-1", "us-east-2", "ap-southeast-7", "ap-northeast-1", "ca-central-1", "mx-central-1",
		"il-central-1", "us-gov-east-1", "cn-northwest-1", "us-iso-west-1", "us-isob-east-1", "us-isof-south-1",
		"eu-isoe-west-1", "eusc-de-east-1", "eu-west-12"} {
		cases = append(cases, goodCase{ecr, "{region: " + region + "}"})
	}
	return cases
}

func badECR() []badCase { return slices.Concat(badECRPlaces(), badECREndpoints(), badECRRoles()) }

// badECRPlaces are regions and accounts.
func badECRPlaces() []badCase {
	const accounts, first = ecr + ".accounts", ecr + ".accounts[0]"
	cases := []badCase{
		{"a region too long", ecr, "{region: " + chars(33) + "}", ecr + ".region", "Too long: may not be more than 32 bytes"},
		{"0 accounts", accounts, "[]", accounts, "should have at least 1 items"},
		{"65 accounts", accounts, "[" + numbered(65, `"%012d"`) + "]", accounts, "Too many: 65: must have at most 64 items"},
		{"11 digits", accounts, `["12345678901"]`, first, accountMessage},
		{"13 digits", accounts, `["1234567890123"]`, first, accountMessage},
		{"digits and dashes", accounts, `["1234-5678-9012"]`, first, accountMessage},
		{"an alias", accounts, "[production]", first, accountMessage},
		{"a host", accounts, "[123456789012.dkr.ecr.eu-west-1.amazonaws.com]", first, accountMessage},
		{"an account too long", accounts, `["` + chars(129) + `"]`, first, "Too long: may not be more than 128 bytes"},
		{"a number", accounts, "[123456789012]", first, `must be of type string: "integer"`},
		{"an account twice", accounts, `["123456789012", "123456789012"]`, accounts + "[1]", `Duplicate value: "123456789012"`},
	}
	for _, region := range []string{"", "eu-west", "EU-WEST-1", "mars-1", "eu-wset-1", "eu-west-1a", "eu-west-0", "eu-west-100",
		"eu.west.1", "eu-west-1.amazonaws.com", "eu-west-1/", `eu-west-1\n`, " eu-west-1", "us-isox-east-1", "eusc-east-1"} {
		cases = append(cases, badCase{"region " + region, ecr, `{region: "` + region + `"}`, ecr + ".region", regionMessage})
	}
	for _, region := range []string{"us-iso-west-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"} {
		cases = append(cases, badCase{"dual-stack in " + region, ecr, "{dualStack: true, region: " + region + "}", ecr, dualStackMessage})
	}
	return cases
}

// badECREndpoints are no names of ECR's API.
func badECREndpoints() []badCase {
	const endpoint = ecr + ".apiEndpoint"
	return slices.Concat(
		[]badCase{
			tooLong(endpoint, 253),
			{"an endpoint of another region", endpoint, "https://api.ecr.us-east-1.amazonaws.com", ecr, apiRegionMessage},
		},
		refused(ecr+".apiEndpoint", apiEndpointMessage, "", "api.ecr.eu-west-1.amazonaws.com", "http://api.ecr.eu-west-1.amazonaws.com",
			"https://api.ecr.eu-west-1.amazonaws.com/", "https://api.ecr.eu-west-1.amazonaws.com:443", "https://user@api.ecr.eu-west-1.amazonaws.com",
			"https://api.ecr.eu-west-1.amazonaws.com.evil.example", "https://api.ecr.eu-west-1.notamazonaws.com", "https://evil.ecr.eu-west-1.amazonaws.com",
			"https://bucket.s3.eu-west-1.amazonaws.com", "https://x.execute-api.eu-west-1.amazonaws.com", "https://sts.eu-west-1.amazonaws.com",
			"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com", "https://evil.example/.api.ecr.eu-west-1.amazonaws.com",
			"https://vpce-0a.execute-api.eu-west-1.vpce.amazonaws.com"),
	)
}

func badECRRoles() []badCase {
	const id = ecr + ".externalID"
	cases := []badCase{
		{"an ARN too long", ecr + ".roleARN", roleARN + chars(2048), ecr + ".roleARN", "Too long: may not be more than 2048 bytes"},
		{"an external ID without role", ecr, "{externalID: regcred}", ecr, loneIDMessage},
		{"an empty external ID", id, `""`, id, externalIDMessage},
		{"an external ID of 1 character", id, "a", id, externalIDMessage},
		{"an external ID with a space", id, "a b", id, externalIDMessage},
		{"an external ID too long", id, chars(1225), id, "Too long: may not be more than 1224 bytes"},
	}
	for _, arn := range []string{"", "pull", "arn:aws:iam::123456789012:user/pull", "arn:aws:iam::12345678901:role/pull",
		"arn:aws:iam:eu-west-1:123456789012:role/pull", "arn:aws:sts::123456789012:assumed-role/pull/session",
		"arn:aws:iam::123456789012:role", roleARN, roleARN + "pull/", roleARN + "pull me", roleARN + "pull*", roleARN + chars(65),
		"arn:awscn:iam::123456789012:role/pull", "arn:aws-:iam::123456789012:role/pull", "arn:aws:iam::*:role/pull"} {
		cases = append(cases, badCase{"role " + arn, ecr + ".roleARN", `"` + arn + `"`, ecr + ".roleARN", roleMessage})
	}
	return cases
}
