package access

import (
	"fmt"
	"strings"

	"github.com/regcred/regcred/providers/partition"
)

type object = map[string]any

func policy(statements ...object) string {
	return document(object{"Version": "2012-10-17", "Statement": statements})
}

func allow(action, resource any) object {
	return object{"Effect": "Allow", "Action": action, "Resource": resource}
}

var pulling = []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}

func (e *entry) ecr() {
	region := orElse(e.ECR.Region, unknownRegion)
	arn := partition.OfRegion(region).ID
	accounts := e.ECR.Accounts
	if len(accounts) == 0 {
		accounts = []string{unknownAccount}
	}
	var resources []string
	for _, account := range accounts {
		resources = append(resources, fmt.Sprintf("arn:%s:ecr:%s:%s:repository/*", arn, region, account))
	}
	e.awsRole(arn, accounts[0], e.ECR.RoleARN, e.ECR.ExternalID, policy(allow("ecr:GetAuthorizationToken", "*"), allow(pulling, resources)))
	if len(accounts) > 1 {
		e.step("The repositories of the other accounts ("+strings.Join(accounts[1:], ", ")+") need a policy each that lets the role in: docs/providers/ecr.md.", "", "")
	}
}

func (e *entry) ecrPublic() {
	e.awsRole("aws", unknownAccount, e.ECRPublic.RoleARN, e.ECRPublic.ExternalID,
		policy(allow([]string{"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}, "*")))
}

// awsRole is a role that may do what the policy allows, and that the identity becomes: by its token, or by a role of its own.
func (e *entry) awsRole(partition, account, roleARN, externalID, allowed string) {
	role := e.id()
	if _, name, ok := strings.Cut(roleARN, ":role/"); ok {
		role = name[strings.LastIndex(name, "/")+1:]
	}
	var trust string
	switch {
	case roleARN != "":
		statement := object{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"AWS": fmt.Sprintf("arn:%s:iam::%s:role/%s", partition, unknownAccount, unknownIdentity)}}
		if externalID != "" {
			statement["Condition"] = object{"StringEquals": object{"sts:ExternalId": externalID}}
		}
		trust = policy(statement)
	case e.account() != "":
		issuer := strings.TrimPrefix(e.options.Issuer, "https://")
		trust = policy(object{
			"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
			"Principal": object{"Federated": fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", partition, account, issuer)},
			"Condition": object{"StringEquals": object{issuer + ":sub": e.subject(), issuer + ":aud": "sts.amazonaws.com"}},
		})
	default:
		e.awsPolicy(role, allowed)
		return
	}
	e.step("A role that the identity becomes.", sh("aws", "iam", "create-role", "--role-name", role, "--assume-role-policy-document", trust),
		block("aws_iam_role", role, attribute{"name", role, false}, attribute{"assume_role_policy", trust, false}))
	e.awsPolicy(role, allowed)
	if e.account() != "" && roleARN == "" {
		e.step("The ServiceAccount names the role.", sh("kubectl", "annotate", "serviceaccount", e.account(), "--namespace="+e.namespace,
			fmt.Sprintf("eks.amazonaws.com/role-arn=arn:%s:iam::%s:role/%s", partition, account, role)), "")
	}
}

func (e *entry) awsPolicy(role, allowed string) {
	e.step("It may pull, and nothing else. Name the repositories instead of * where you can.", sh("aws", "iam", "put-role-policy", "--role-name", role, "--policy-name", "regcred-pull", "--policy-document", allowed),
		block("aws_iam_role_policy", role, attribute{"name", "regcred-pull", false}, attribute{"role", role, false}, attribute{"policy", allowed, false}))
}
