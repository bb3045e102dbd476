package access

import (
	"fmt"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/internal/partition"
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
		accounts = []string{orElse(e.options.Account, accountIn(orElse(e.ECR.RoleARN, e.toldRole())))}
	}
	var resources []string
	for _, account := range accounts {
		resources = append(resources, fmt.Sprintf("arn:%s:ecr:%s:%s:repository/*", arn, region, account))
	}
	e.aws(arn, accounts[0], e.ECR.RoleARN, e.ECR.ExternalID, policy(allow("ecr:GetAuthorizationToken", "*"), allow(pulling, resources)))
	if len(accounts) > 1 {
		e.step("The repositories of the other accounts ("+strings.Join(accounts[1:], ", ")+") need a policy each that lets the role in: docs/providers/ecr.md.", "", "")
	}
}

func (e *entry) ecrPublic() {
	e.aws("aws", unknownAccount, e.ECRPublic.RoleARN, e.ECRPublic.ExternalID,
		policy(allow([]string{"ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}, "*")))
}

// principal is a role or a user of IAM.
type principal struct {
	// kind is role or user.
	kind, arn, name string
	// made is its name as an expression of Terraform, if it is made here.
	made string
	// trust are the statements that let others become it.
	trust []object
}

// aws lets the identity pull, itself or by the role that the entry names.
func (e *entry) aws(arn, account, roleARN, externalID, allowed string) {
	if roleARN != "" {
		account = unknownAccount // the identity's may be another than the role's
	}
	account = orElse(e.options.Account, account)
	own := e.caller(arn, account)
	if roleARN != "" {
		e.awsPolicy(own, "It may become the role of the entry.", "-assume", policy(allow("sts:AssumeRole", roleARN)))
		own = e.assumed(own, roleARN, externalID)
	}
	e.awsPolicy(own, "It may pull, and nothing else. Name the repositories instead of * where you can.", "", allowed)
}

// caller is who the identity is in IAM.
func (e *entry) caller(arn, account string) *principal {
	name := e.account()
	switch {
	case name != "" && e.made.roles[name] != nil: // a ServiceAccount names one role
		return e.made.roles[name]
	case e.toldRole() != "":
		return e.named(name)
	case name == "" && e.Identity == nil:
		return &principal{kind: "role", name: unknownRole, arn: fmt.Sprintf("arn:%s:iam::%s:role/%s", arn, account, unknownRole)}
	case name == "":
		return &principal{kind: "user", name: unknownUser, arn: fmt.Sprintf("arn:%s:iam::%s:user/%s", arn, account, unknownUser)}
	}
	p := e.role(e.id(), fmt.Sprintf("arn:%s:iam::%s:role/%s", arn, account, e.id()), e.webIdentity(arn, account), e.id())
	e.annotate(true, annotationRole+"="+p.arn, "The ServiceAccount names the role.")
	e.made.roles[name] = p
	return p
}

// webIdentity lets the ServiceAccount become a role.
func (e *entry) webIdentity(arn, account string) object {
	issuer := strings.TrimPrefix(e.options.Issuer, "https://")
	return object{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": object{"Federated": fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", arn, account, issuer)},
		"Condition": object{"StringEquals": object{issuer + ":sub": e.subject(), issuer + ":aud": "sts.amazonaws.com"}},
	}
}

// named is the role that the ServiceAccount names already. It is somebody's: what trusts the ServiceAccount is shown, and not replaced.
func (e *entry) named(name string) *principal {
	role := e.toldRole()
	p := &principal{kind: "role", arn: role, name: orElse(role[strings.LastIndex(role, "/")+1:], unknownRole)}
	if name == "" {
		e.step("The controller's ServiceAccount names role "+role+".", "", "")
		return p
	}
	partitionID, _, _ := strings.Cut(strings.TrimPrefix(role, "arn:"), ":")
	e.step("The ServiceAccount names role "+role+" already. Its trust policy needs this statement: "+document(e.webIdentity(partitionID, accountIn(role))), "", "")
	e.made.roles[name] = p
	return p
}

// assumed is the role that the entry names. Several entries may name it.
func (e *entry) assumed(by *principal, roleARN, externalID string) *principal {
	statement := object{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": object{"AWS": by.arn}}
	if externalID != "" {
		statement["Condition"] = object{"StringEquals": object{"sts:ExternalId": externalID}}
	}
	p := e.made.roles[roleARN]
	if p == nil {
		name := orElse(roleARN[strings.LastIndex(roleARN, "/")+1:], unknownRole)
		e.made.roles[roleARN] = e.role(name, roleARN, statement, e.id()+"-assumed")
		return e.made.roles[roleARN]
	}
	for _, known := range p.trust {
		if document(known) == document(statement) {
			return p
		}
	}
	p.trust = append(p.trust, statement)
	e.step("The role is made above. It lets this identity in, too.", sh("aws", "iam", "update-assume-role-policy", "--role-name", p.name, "--policy-document", policy(p.trust...)), "")
	return p
}

// role makes a role.
func (e *entry) role(name, arn string, trust object, resource string) *principal {
	e.step("A role that the identity becomes.", sh("aws", "iam", "create-role", "--role-name", name, "--assume-role-policy-document", policy(trust)),
		block("resource", "aws_iam_role", resource, attribute{"name", name, false}, attribute{"assume_role_policy", policy(trust), false}))
	return &principal{kind: "role", arn: arn, name: name, made: "aws_iam_role." + label(resource) + ".name", trust: []object{trust}}
}

// awsPolicy gives a principal a policy of the entry: one of another entry stays beside it.
func (e *entry) awsPolicy(p *principal, what, suffix, allowed string) {
	name := e.id() + suffix
	e.step(what, sh("aws", "iam", "put-"+p.kind+"-policy", "--"+p.kind+"-name", p.name, "--policy-name", name, "--policy-document", allowed),
		block("resource", "aws_iam_"+p.kind+"_policy", name, attribute{"name", name, false},
			attribute{p.kind, orElse(p.made, output.Terraform(p.name)), true}, attribute{"policy", allowed, false}))
}
