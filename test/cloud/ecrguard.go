package cloud

import (
	"fmt"
	"net/http"
	"time"
)

// ecrPermissions are the actions that IAM checks behind the distribution API (ECR user guide, "Pushing" and "Pulling").
var ecrPermissions = map[string]string{
	ActionGetManifest:  "ecr:BatchGetImage",
	ActionHeadManifest: "ecr:BatchGetImage",
	ActionGetBlob:      "ecr:GetDownloadUrlForLayer",
	ActionListTags:     "ecr:ListImages",
	ActionPush:         "ecr:InitiateLayerUpload",
}

func (a *AWS) ecrRegistry() *guardedRegistry {
	return &guardedRegistry{
		namespace: func(host string) (string, bool) {
			account, region, ok := parseECRHost(host)
			return account + "/" + region, ok
		},
		guard: a.guardECR,
		challenge: func(header http.Header, r registryRequest) {
			header.Set("WWW-Authenticate", fmt.Sprintf(`Basic realm="https://%s/",service="ecr.amazonaws.com"`, r.host))
		},
	}
}

// guardECR checks a token as the registry does: that it is one, is alive, is of this region, and that its principal may do this.
// The answer to a token of another region is the one that users report for it: login "failed with status: 400 Bad Request"
// (aws/eks-anywhere PR 3919), "Your Authorization Token is invalid." (akuity/kargo issue 3482).
func (a *AWS) guardECR(r registryRequest) *failure {
	username, password, _ := r.BasicAuth()
	token, ok := a.tokens.find(password)
	if !ok || username != ecrUsername {
		return &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: "Not Authorized"}
	}
	if now := a.clock.now(); !token.live(now) {
		a.refused.add(Refusal{At: now, Real: time.Now(), Host: r.host, Token: token.Token})
		return denied(http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again.")
	}
	account, region, _ := parseECRHost(r.host)
	if token.Region != region {
		return denied(http.StatusBadRequest, "Your Authorization Token is invalid.")
	}
	if r.action == ActionPing || r.action != ActionPush && a.iam.mayPull(token.identity, account, r.repository) {
		return nil
	}
	_, partition := partitionOf(region)
	action := ecrPermissions[r.action]
	return denied(http.StatusForbidden, fmt.Sprintf("User: %s is not authorized to perform: %s on resource: "+
		"arn:%s:ecr:%s:%s:repository/%s because no identity-based policy allows the %s action",
		token.Principal, action, partition, region, account, r.repository, action))
}

func denied(status int, message string) *failure {
	return &failure{status: status, code: codeDenied, message: message}
}
