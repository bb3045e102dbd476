package v1alpha1_test

import (
	"fmt"
	"slices"
	"strings"
)

// A goodCase is a value that the API server must admit in place of the one in a kind's good object.
type goodCase struct {
	path  string
	value string // YAML; empty removes what is at the path
}

// A badCase is a value that the API server must refuse with one complaint: about this field, in these words.
type badCase struct {
	name    string
	path    string
	value   string // YAML; empty removes what is at the path
	field   string
	message string // without the words of the API server before it, which repeat the value and the field
}

const (
	objectNameMessage  = "metadata.name must be at most 63 characters: it also names the Secret and the annotation that records a link"
	entryNameMessage   = "name must be lower case letters, digits and '-', starting and ending with a letter or digit"
	providerMessage    = "exactly one of the fields in [ecr] must be set"
	identityMessage    = "exactly one of the fields in [serviceAccountRef secretRef] must be set"
	referenceMessage   = "name must be the name of an object: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	regionMessage      = "region must be an AWS region, such as eu-west-1, us-gov-west-1 or cn-north-1"
	accountMessage     = "an account must be the 12 digits of an AWS account ID, quoted"
	roleMessage        = "roleARN must be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/pull"
	externalIDMessage  = "externalID must be 2 to 1224 letters, digits and any of _+=,.@:/-"
	loneIDMessage      = "externalID needs roleARN: it is presented when that role is assumed"
	dualStackMessage   = "dualStack is not offered in the isolated regions: remove it"
	accountsOfMessage  = "exactly one of the fields in [names selector] must be set"
	accountNameMessage = "a name must be the name of a ServiceAccount: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	labelKeysMessage   = "each key of matchLabels must be a label key, such as app or example.com/app"
	labelKeyMessage    = "key must be a label key, such as app or example.com/app"
	labelValueMessage  = "a label value must be empty or letters, digits, '-', '_' and '.', starting and ending with a letter or digit"
	valuesMessage      = "the operators In and NotIn need values, Exists and DoesNotExist must have none"

	entry   = "spec.registries[0]"
	ecr     = entry + ".ecr"
	names   = "spec.serviceAccounts.names"
	roleARN = "arn:aws:iam::123456789012:role/"
)

func goodSpecs() []goodCase {
	cases := []goodCase{
		{"metadata.name", chars(63)},
		{"spec.registries", entries(1)},
		{"spec.registries", entries(16)},
		{entry + ".name", chars(63)},
		{entry + ".name", `"0"`},
		{ecr, "{}"},
		{entry + ".identity", ""},
		{entry + ".identity", "{serviceAccountRef: {name: " + chars(253) + "}}"},
		{entry + ".identity", "{secretRef: {name: my.keys-1}}"},
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
		{"spec.serviceAccounts", ""},
		{names, "[" + numbered(64, "a%d") + "]"},
		{names, "[a.b-0, " + chars(253) + "]"},
	}
	for _, region := range []string{"eu-west-1", "us-east-2", "ap-southeast-7", "ap-northeast-1", "ca-central-1", "mx-central-1",
		"il-central-1", "us-gov-east-1", "cn-northwest-1", "us-iso-west-1", "us-isob-east-1", "us-isof-south-1",
		"eu-isoe-west-1", "eusc-de-east-1", "eu-west-12"} {
		cases = append(cases, goodCase{ecr, "{region: " + region + "}"})
	}
	return cases
}

func badSpecs() []badCase {
	return slices.Concat(badObjects(), badIdentities(), badPlaces(), badRoles(), badServiceAccounts())
}

func badObjects() []badCase {
	return []badCase{
		{"an object's name too long", "metadata.name", chars(64), "metadata", objectNameMessage},
		{"no spec", "spec", "", "spec", "Required value"},
		{"no registries", "spec.registries", "", "spec.registries", "Required value"},
		{"0 registries", "spec.registries", "[]", "spec.registries", "should have at least 1 items"},
		{"17 registries", "spec.registries", entries(17), "spec.registries", "Too many: 17: must have at most 16 items"},
		{"two of one name", "spec.registries[1].name", "prod", "spec.registries[1]", `Duplicate value: {"name":"prod"}`},
		{"no name", entry + ".name", "", entry + ".name", "Required value"},
		{"a name too long", entry + ".name", chars(64), entry + ".name", "Too long: may not be more than 63 bytes"},
		{"an empty name", entry + ".name", `""`, entry + ".name", entryNameMessage},
		{"a name in upper case", entry + ".name", "Prod", entry + ".name", entryNameMessage},
		{"a name with a dot", entry + ".name", "prod.eu", entry + ".name", entryNameMessage},
		{"a name that ends with a dash", entry + ".name", "prod-", entry + ".name", entryNameMessage},
		{"no provider", ecr, "", entry, providerMessage},
	}
}

func badIdentities() []badCase {
	const field = entry + ".identity"
	const account, secret = field + ".serviceAccountRef.name", field + ".secretRef.name"
	return []badCase{
		{"an empty identity", field, "{}", field, identityMessage},
		{"two identities", field, "{serviceAccountRef: {name: a}, secretRef: {name: a}}", field, identityMessage},
		{"a ServiceAccount without name", field, "{serviceAccountRef: {}}", account, "Required value"},
		{"a ServiceAccount of an empty name", field, `{serviceAccountRef: {name: ""}}`, account, referenceMessage},
		{"a ServiceAccount in upper case", field, "{serviceAccountRef: {name: Puller}}", account, referenceMessage},
		{"a ServiceAccount of another namespace", field, "{serviceAccountRef: {name: other/puller}}", account, referenceMessage},
		{"a ServiceAccount's name too long", field, "{serviceAccountRef: {name: " + chars(254) + "}}", account, "Too long: may not be more than 253 bytes"},
		{"a Secret without name", field, "{secretRef: {}}", secret, "Required value"},
		{"a Secret in upper case", field, "{secretRef: {name: Keys}}", secret, referenceMessage},
		{"a Secret's name with a trailing dot", field, "{secretRef: {name: keys.}}", secret, referenceMessage},
		{"a Secret's name too long", field, "{secretRef: {name: " + chars(254) + "}}", secret, "Too long: may not be more than 253 bytes"},
	}
}

// badPlaces are regions and accounts.
func badPlaces() []badCase {
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

func badRoles() []badCase {
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

func badServiceAccounts() []badCase {
	const field = "spec.serviceAccounts"
	return []badCase{
		{"neither names nor selector", field, "{}", field, accountsOfMessage},
		{"names and selector", field, "{names: [default], selector: {}}", field, accountsOfMessage},
		{"0 names", names, "[]", names, "should have at least 1 items"},
		{"65 names", names, "[" + numbered(65, "a%d") + "]", names, "Too many: 65: must have at most 64 items"},
		{"a name twice", names, "[default, default]", names + "[1]", `Duplicate value: "default"`},
		{"an empty name", names, `[""]`, names + "[0]", accountNameMessage},
		{"a name in upper case", names, "[default, Builder]", names + "[1]", accountNameMessage},
		{"a wildcard", names, `["*"]`, names + "[0]", accountNameMessage},
		{"a name too long", names, "[" + chars(254) + "]", names + "[0]", "Too long: may not be more than 253 bytes"},
	}
}

func chars(n int) string { return strings.Repeat("a", n) }

func entries(n int) string { return "[" + numbered(n, "{name: a%d, ecr: {}}") + "]" }

// numbered is n items of a YAML list, of which each has its number formatted into it.
func numbered(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ", ")
}
