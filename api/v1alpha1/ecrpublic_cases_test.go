package v1alpha1_test

import "slices"

const (
	commercialRoleMessage = "roleARN must be the ARN of an IAM role in the commercial partition, such as arn:aws:iam::123456789012:role/pull"

	ecrPublic = "spec.registries[2].ecrPublic"
)

func goodECRPublic() []goodCase {
	return []goodCase{
		{ecrPublic, "{}"},
		{ecrPublic, "{dualStack: false}"},
		{ecrPublic + ".roleARN", roleARN + "a/deep/path/_+=,.@-" + chars(57)},
		{ecrPublic + ".roleARN", roleARN + chars(2048-len(roleARN)-5) + "/pull"},
		{ecrPublic + ".externalID", ""},
		{ecrPublic + ".externalID", "aZ0_+=,.@:/-"},
		{ecrPublic + ".externalID", chars(1224)},
		{"spec.registries[2].identity", ""},
		{"spec.registries[2].identity", "{secretRef: {name: keys}}"},
	}
}

func badECRPublic() []badCase {
	const role, id = ecrPublic + ".roleARN", ecrPublic + ".externalID"
	return slices.Concat(
		[]badCase{
			{ecrPublic + ": an external ID without role", ecrPublic, "{externalID: regcred}", ecrPublic, loneIDMessage},
			tooLong(role, 2048),
			tooLong(id, 1224),
		},
		refused(role, commercialRoleMessage, "", "pull", roleARN, roleARN+"pull/", roleARN+chars(65), "arn:aws:iam::123456789012:user/pull",
			"arn:aws-cn:iam::123456789012:role/pull", "arn:aws-us-gov:iam::123456789012:role/pull", "arn:aws:iam::12345678901:role/pull"),
		refused(id, externalIDMessage, "", "a", "a b"),
	)
}
