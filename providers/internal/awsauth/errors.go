package awsauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// refusals are the error codes of STS, ECR and ECR Public that say what to mend. Sources: the API references of
// GetAuthorizationToken, AssumeRole and AssumeRoleWithWebIdentity, and "Common errors" of these services.
var refusals = map[string]struct{ reason, cure string }{
	"AccessDenied":                {v1alpha1.ReasonAccessDenied, "allow it in the identity's policies, and in the trust policy of the role"},
	"AccessDeniedException":       {v1alpha1.ReasonAccessDenied, "allow it in the identity's policies"},
	"ExpiredToken":                {v1alpha1.ReasonAccessDenied, "renew the identity's session"},
	"ExpiredTokenException":       {v1alpha1.ReasonAccessDenied, "renew the identity's session"},
	"IDPRejectedClaim":            {v1alpha1.ReasonAccessDenied, "check the cluster's OIDC provider in IAM"},
	"InvalidIdentityToken":        {v1alpha1.ReasonAccessDenied, "check that the cluster's issuer and the audience are an OIDC provider in IAM"},
	"IDPCommunicationError":       {v1alpha1.ReasonUnavailable, "STS could not reach the cluster's OIDC issuer; it is tried again"},
	"InvalidClientTokenId":        {v1alpha1.ReasonAccessDenied, "the access key does not exist or its session token is wrong: replace it"},
	"UnrecognizedClientException": {v1alpha1.ReasonAccessDenied, "the access key does not exist or its session token is wrong: replace it"},
	"InvalidSignatureException":   {v1alpha1.ReasonAccessDenied, "the secret access key is wrong, or the node's clock is"},
	"SignatureDoesNotMatch":       {v1alpha1.ReasonAccessDenied, "the secret access key is wrong, or the node's clock is"},
	"OptInRequired":               {v1alpha1.ReasonAccessDenied, "enable the region for the account"},
	"RegionDisabledException":     {v1alpha1.ReasonAccessDenied, "activate STS in this region for the account"},
	"ValidationError":             {v1alpha1.ReasonInvalidRequest, "check the role ARN and the external ID"},
	"InvalidParameterException":   {v1alpha1.ReasonInvalidRequest, "check the registry entry"},
}

// noKeys is what STS says, with the code InvalidIdentityToken, when it could not fetch the keys of the cluster's issuer. That passes
// (aws/aws-sdk-php PR 1858, aws/aws-cli issue 7194).
const noKeys = "retrieve verification key"

// errorCode is the form of AWS' error codes. What a server writes in their place is not for messages.
var errorCode = regexp.MustCompile(`^[A-Z][A-Za-z0-9.]{2,63}$`)

// unknownCode is the SDK's for an answer that has none.
const unknownCode = "UnknownError"

// Call is a call to AWS, in the words of its errors.
type Call struct {
	// Action is the IAM action, As is who calls.
	Action, As string
}

// Explain turns an SDK error into one that may be shown. It speaks of codes, never in the SDK's or the service's words: those
// quote requests, and with them session tokens.
func Explain(call Call, err error) *providers.Error {
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return known
	}
	code, status := codeOf(err), statusOf(err)
	refused, known := refusals[code.name]
	e := &providers.Error{RetryAfter: retryAfter(err)}
	switch _, throttled := retry.DefaultThrottleErrorCodes[code.name]; {
	case throttled, status == http.StatusTooManyRequests:
		e.Reason = v1alpha1.ReasonThrottled
		// AWS counts calls by account and region, so one too many by a code is the account's own; only what has no code concerns all.
		if !throttled {
			e.Scope = providers.ScopeEndpoint
		}
		e.Err = fmt.Errorf("%s as %s is throttled; it is tried again more slowly", call.Action, call.As)
	case code.passing:
		e.Reason = v1alpha1.ReasonUnavailable
		e.Err = fmt.Errorf("%s as %s failed (%s): STS could not fetch the keys of the cluster's OIDC issuer; it is tried again", call.Action, call.As, code.name)
	case known:
		e.Reason = refused.reason
		e.Err = fmt.Errorf("%s is refused to %s (%s): %s", call.Action, call.As, code.name, refused.cure)
	case status >= http.StatusInternalServerError, code.fault == smithy.FaultServer:
		e.Reason, e.Scope = v1alpha1.ReasonUnavailable, providers.ScopeEndpoint
		e.Err = fmt.Errorf("%s as %s failed with HTTP status %d; it is tried again", call.Action, call.As, status)
	case code.name != "":
		e.Reason = v1alpha1.ReasonInvalidRequest
		e.Err = fmt.Errorf("%s is refused to %s (%s): check the registry entry and the identity; the code is explained in AWS' API reference",
			call.Action, call.As, code.name)
	case status != 0:
		e.Reason = v1alpha1.ReasonInvalidResponse
		e.Err = fmt.Errorf("%s as %s failed with HTTP status %d, which is not said in AWS' form: check any proxy in between", call.Action, call.As, status)
	default:
		return unanswered(call, err)
	}
	return e
}

// unanswered is for what never left, and for what got no answer.
func unanswered(call Call, err error) *providers.Error {
	if _, sent := errors.AsType[*smithyhttp.RequestSendError](err); !sent && !outbound.IsTimeout(err) && !errors.Is(err, context.Canceled) {
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s as %s could not be sent: check the region and the AWS_ variables of the controller", call.Action, call.As)
	}
	return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: outbound.Scope(err),
		Err: fmt.Errorf("%s as %s got no answer: %s", call.Action, call.As, cures.NoAnswer(err))}
}

// answer is what AWS' code says.
type answer struct {
	name  string
	fault smithy.ErrorFault
	// passing is a refusal of something that passes by itself.
	passing bool
}

func codeOf(err error) answer {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || !errorCode.MatchString(api.ErrorCode()) || api.ErrorCode() == unknownCode {
		return answer{}
	}
	return answer{
		name: api.ErrorCode(), fault: api.ErrorFault(),
		passing: api.ErrorCode() == "InvalidIdentityToken" && strings.Contains(api.ErrorMessage(), noKeys),
	}
}

// statusOf is the HTTP status of the answer; 0 if there was none. Pod Identity's agent has errors of another type than the services.
func statusOf(err error) int {
	var response interface {
		error
		HTTPStatusCode() int
	}
	if !errors.As(err, &response) {
		return 0
	}
	return response.HTTPStatusCode()
}

func explainWebIdentity(role, audience string, sa *providers.ServiceAccount, err error) *providers.Error {
	e := Explain(Call{Action: "sts:AssumeRoleWithWebIdentity of " + role, As: sa.String()}, err)
	if e.Reason == v1alpha1.ReasonAccessDenied {
		e.Err = fmt.Errorf("%w; it must trust the cluster's OIDC provider with sub system:serviceaccount:%s:%s and aud %s",
			e.Err, sa.Namespace, sa.Name, audience)
	}
	return e
}

// imds is the service at the end of the SDK's chain: whoever gets there has found no identity anywhere before.
const imds = "ec2imds"

func explainAmbient(err error) *providers.Error {
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok && operation.ServiceID == imds && statusOf(err) < http.StatusInternalServerError {
		return noAmbientIdentity()
	}
	return Explain(Call{Action: "getting credentials", As: principal(providers.Identity{})}, err)
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
