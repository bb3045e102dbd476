package awsauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// refusals are the error codes of STS, ECR and ECR Public that call for something else than patience. Sources: the API references of
// GetAuthorizationToken, AssumeRole and AssumeRoleWithWebIdentity, and "Common errors" of these services.
var refusals = map[string]struct{ reason, cure string }{
	"AccessDenied":                {v1alpha1.ReasonAccessDenied, "allow it in the identity's policies, and in the trust policy of the role"},
	"AccessDeniedException":       {v1alpha1.ReasonAccessDenied, "allow it in the identity's policies"},
	"ExpiredToken":                {v1alpha1.ReasonAccessDenied, "renew the identity's session"},
	"ExpiredTokenException":       {v1alpha1.ReasonAccessDenied, "renew the identity's session"},
	"IDPRejectedClaim":            {v1alpha1.ReasonAccessDenied, "check the cluster's OIDC provider in IAM"},
	"InvalidIdentityToken":        {v1alpha1.ReasonAccessDenied, "check that the cluster's issuer and the audience are an OIDC provider in IAM"},
	"InvalidClientTokenId":        {v1alpha1.ReasonAccessDenied, "the access key does not exist or its session token is wrong: replace it"},
	"UnrecognizedClientException": {v1alpha1.ReasonAccessDenied, "the access key does not exist or its session token is wrong: replace it"},
	"InvalidSignatureException":   {v1alpha1.ReasonAccessDenied, "the secret access key is wrong, or the node's clock is"},
	"SignatureDoesNotMatch":       {v1alpha1.ReasonAccessDenied, "the secret access key is wrong, or the node's clock is"},
	"OptInRequired":               {v1alpha1.ReasonAccessDenied, "enable the region for the account"},
	"RegionDisabledException":     {v1alpha1.ReasonAccessDenied, "activate STS in this region for the account"},
	"ValidationError":             {v1alpha1.ReasonInvalidRequest, "check the role ARN and the external ID"},
	"InvalidParameterException":   {v1alpha1.ReasonInvalidRequest, "check the registry entry"},
	"ThrottlingException":         {v1alpha1.ReasonThrottled, "it is tried again more slowly"},
	"Throttling":                  {v1alpha1.ReasonThrottled, "it is tried again more slowly"},
	"TooManyRequestsException":    {v1alpha1.ReasonThrottled, "it is tried again more slowly"},
	"RequestLimitExceeded":        {v1alpha1.ReasonThrottled, "it is tried again more slowly"},
}

// Call is a call to AWS, in the words of its errors.
type Call struct {
	// Action is the IAM action, As is who calls.
	Action, As string
	// Conflict says which settings the SDK refuses to combine for this call; empty if there are none.
	Conflict string
}

// Explain turns an SDK error into one that may be shown. It speaks of codes, never in the SDK's or the service's words: those
// quote requests, and with them session tokens.
func Explain(call Call, err error) *providers.Error {
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return known
	}
	after := retryAfter(err)
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if r, ok := refusals[api.ErrorCode()]; ok {
			return &providers.Error{Reason: r.reason, RetryAfter: after,
				Err: fmt.Errorf("%s is refused to %s (%s): %s", call.Action, call.As, api.ErrorCode(), r.cure)}
		}
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() != 0 {
		reason := v1alpha1.ReasonUnavailable
		if response.HTTPStatusCode() == http.StatusTooManyRequests {
			reason = v1alpha1.ReasonThrottled
		}
		return &providers.Error{Reason: reason, RetryAfter: after,
			Err: fmt.Errorf("%s as %s failed with HTTP status %d; it is tried again", call.Action, call.As, response.HTTPStatusCode())}
	}
	if _, sent := errors.AsType[*smithyhttp.RequestSendError](err); !sent && !outbound.IsTimeout(err) && !errors.Is(err, context.Canceled) {
		cure := "check the region and the AWS_ variables of the controller"
		if call.Conflict != "" {
			cure = call.Conflict + "; " + cure
		}
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s as %s could not be sent: %s", call.Action, call.As, cure)
	}
	return providers.Errorf(v1alpha1.ReasonUnavailable, "%s as %s got no answer: %s", call.Action, call.As, cures.NoAnswer(err))
}

func explainWebIdentity(role, audience string, sa *providers.ServiceAccount, err error) *providers.Error {
	e := Explain(Call{Action: "sts:AssumeRoleWithWebIdentity of " + role, As: sa.String()}, err)
	if e.Reason == v1alpha1.ReasonAccessDenied {
		e.Err = fmt.Errorf("%w; it must trust the cluster's OIDC provider with sub system:serviceaccount:%s:%s and aud %s",
			e.Err, sa.Namespace, sa.Name, audience)
	}
	return e
}

func explainAmbient(err error) *providers.Error {
	var api smithy.APIError
	var response *awshttp.ResponseError
	if errors.As(err, &api) || errors.As(err, &response) {
		return Explain(Call{Action: "getting credentials", As: principal(providers.Identity{})}, err)
	}
	return noAmbientIdentity()
}

func noAmbientIdentity() *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "the controller has no AWS identity of its own: "+
		"give it one (IAM roles for service accounts, EKS Pod Identity, instance profile, environment), or name one in identity")
}

var cures = outbound.Cures{Name: "check the region and the cluster's DNS", Authorities: "AWS_CA_BUNDLE", Endpoint: "the endpoint"}

func retryAfter(err error) time.Duration {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return 0
	}
	return outbound.RetryAfter(response.Response.Header)
}
