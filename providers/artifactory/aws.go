package artifactory

import (
	"context"
	"net/http"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/awsauth"
)

// awsLife is what JFrog's own operator asks for when it knows nothing better.
const awsLife = 3 * time.Hour

// awsRequest is the body of POST /access/api/v1/aws/token. Who logs in stands in the headers: they are those of a signed request to STS
// (https://github.com/jfrog/jfrog-registry-operator, internal/handler).
type awsRequest struct {
	ExpiresIn int64 `json:"expires_in"`
}

func (p *Provider) loginOfRole(ctx context.Context, base string, spec *v1alpha1.Artifactory, id providers.Identity) (call, error) {
	switch {
	case p.aws == nil:
		return call{}, &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errNoAWS}
	case id.ServiceAccount == nil && id.Secret == nil:
		return call{}, noIdentity()
	case !p.trustsAWS(base):
		return call{}, invalid("%s is not shown the signature of an AWS role, with which it could log in elsewhere: have it added to the "+
			"controller's --artifactory-aws-platforms, or use another identity", base)
	}
	headers, err := p.aws.SignCallerIdentity(ctx, awsauth.Endpoints{Region: spec.AWS.Region}, role(spec.AWS), id, p.clock.Now())
	if err != nil {
		return call{}, err
	}
	body := awsRequest{ExpiresIn: int64(spec.TokenLifetime.Duration().Seconds())}
	if body.ExpiresIn == 0 {
		body.ExpiresIn = int64(awsLife.Seconds())
	}
	who := awsauth.Principal(role(spec.AWS), id)
	return call{
		action: "the login of " + who, method: http.MethodPost, url: base + "/access/api/v1/aws/token",
		headers: headers, body: body, cures: awsCures(who),
	}, nil
}

func role(spec *v1alpha1.ArtifactoryAWS) awsauth.Role {
	return awsauth.Role{ARN: spec.RoleARN, ExternalID: spec.ExternalID}
}

func awsCures(who string) map[int]refusal {
	const mapped = "add the role's ARN to a user of JFrog (iam_role of its REST API)"
	return map[int]refusal{
		http.StatusBadRequest:   {reason: v1alpha1.ReasonInvalidRequest, cure: "check artifactory.tokenLifetime"},
		http.StatusUnauthorized: {reason: v1alpha1.ReasonAccessDenied, cure: "JFrog does not know " + who + ": " + mapped + ", and check the clock of the controller's node"},
		http.StatusForbidden:    {reason: v1alpha1.ReasonAccessDenied, cure: mapped + ", and set artifactory.tokenLifetime to no more than the administrator allows"},
		http.StatusNotFound:     {reason: v1alpha1.ReasonInvalidRequest, cure: "this platform has no login with AWS roles, or artifactory.url is wrong"},
	}
}
