package artifactregistry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// refusals are the codes that call for something else than patience, and those that say which part of Google asks for it. Sources: RFC
// 6749 (5.2) and RFC 8693 (2.2.2) for OAuth 2.0, google.rpc.Code and google.api.ErrorReason for the APIs, and Google's pages on
// troubleshooting workload identity federation and service account keys.
var refusals = map[string]struct{ reason, cure string }{
	"invalid_grant":       {v1alpha1.ReasonAccessDenied, "what was presented is wrong, has expired or is no longer trusted"},
	"invalid_client":      {v1alpha1.ReasonAccessDenied, "the client is unknown: check the credentials"},
	"unauthorized_client": {v1alpha1.ReasonAccessDenied, "let the identity in by the attribute condition of the provider"},
	"access_denied":       {v1alpha1.ReasonAccessDenied, "allow it in IAM and in the policies of the organization"},
	"invalid_target":      {v1alpha1.ReasonInvalidRequest, "the pool, the provider or the cluster does not exist or is disabled: check its name"},
	"invalid_scope":       {v1alpha1.ReasonInvalidRequest, "the identity does not take the scope: use another, or leave readOnlyScope out"},
	"invalid_request":     {v1alpha1.ReasonInvalidRequest, "check the registry entry and the credentials"},

	"UNAUTHENTICATED":     {v1alpha1.ReasonAccessDenied, "its token is not accepted: check that the service account is enabled"},
	"PERMISSION_DENIED":   {v1alpha1.ReasonAccessDenied, "allow it in IAM"},
	"FAILED_PRECONDITION": {v1alpha1.ReasonAccessDenied, "a policy of the organization forbids it, or the service account is disabled"},
	"NOT_FOUND":           {v1alpha1.ReasonAccessDenied, "it does not exist, or the identity may not know of it"},
	"INVALID_ARGUMENT":    {v1alpha1.ReasonInvalidRequest, "check the registry entry"},
	"RESOURCE_EXHAUSTED":  {v1alpha1.ReasonThrottled, "it is tried again more slowly; see the quotas of the project"},

	"SERVICE_DISABLED":                {v1alpha1.ReasonAccessDenied, "enable this API in the project"},
	"BILLING_DISABLED":                {v1alpha1.ReasonAccessDenied, "enable billing for the project"},
	"SECURITY_POLICY_VIOLATED":        {v1alpha1.ReasonAccessDenied, "let the controller in by the perimeter of VPC Service Controls"},
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": {v1alpha1.ReasonAccessDenied, "give the node or the identity the scope cloud-platform"},
}

// explain turns an error of the SDK into one that may be shown. It speaks of codes, never in the words of the SDK or of Google: those
// quote answers and requests.
func explain(action, identity string, err error) *providers.Error {
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return known
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return explainRefusal(action, identity, refused)
	}
	if silent, ok := errors.AsType[*silence](err); ok {
		return noAnswer(action, identity, silent.cause, silent.scope)
	}
	if errors.Is(err, context.Canceled) || outbound.IsTimeout(err) {
		return noAnswer(action, identity, cures.NoAnswer(err), outbound.Scope(err))
	}
	return providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s as %s was answered with something that cannot be parsed: check any proxy in between", action, identity)
}

func noAnswer(action, identity, cause string, scope providers.Scope) *providers.Error {
	return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: scope, Err: fmt.Errorf("%s as %s got no answer: %s", action, identity, cause)}
}

// explainRefusal takes a known code for what it says. Google counts calls by project, so one too many by a code is the project's own; only
// what has no code, as its front ends answer, concerns all.
func explainRefusal(action, identity string, refused *refusal) *providers.Error {
	for _, code := range []string{refused.info, refused.code} {
		if r, ok := refusals[code]; ok && refused.status < http.StatusInternalServerError {
			return &providers.Error{Reason: r.reason, RetryAfter: refused.retryAfter,
				Err: fmt.Errorf("%s is refused to %s (%s): %s", action, identity, code, r.cure)}
		}
	}
	reason, scope, cure := v1alpha1.ReasonInvalidResponse, providers.ScopeRequest, "check any proxy in between"
	switch {
	case refused.status == http.StatusTooManyRequests:
		reason, scope, cure = v1alpha1.ReasonThrottled, providers.ScopeEndpoint, "it is tried again more slowly"
	case refused.status == http.StatusUnauthorized, refused.status == http.StatusForbidden:
		reason, cure = v1alpha1.ReasonAccessDenied, "allow it in IAM, and check any proxy in between"
	case refused.status >= http.StatusInternalServerError:
		reason, scope, cure = v1alpha1.ReasonUnavailable, providers.ScopeEndpoint, "it is tried again"
	}
	return &providers.Error{Reason: reason, Scope: scope, RetryAfter: refused.retryAfter,
		Err: fmt.Errorf("%s as %s failed with HTTP status %d; %s", action, identity, refused.status, cure)}
}

// with adds what helps against one code.
func with(e *providers.Error, err error, code, format string, args ...any) *providers.Error {
	if refused, ok := errors.AsType[*refusal](err); ok && refused.code == code && refused.info == "" {
		e.Err = fmt.Errorf("%w; "+format, append([]any{e.Err}, args...)...)
	}
	return e
}

func explainFederation(at exchange, sa *providers.ServiceAccount, err error) *providers.Error {
	e := explain("the exchange of its token in "+at.where, sa.String(), err)
	return with(e, err, "invalid_grant", "it must trust the cluster's issuer with sub system:serviceaccount:%s:%s and aud %s", sa.Namespace, sa.Name, at.subjectAudience)
}

func explainExternal(provider string, secret *providers.Secret, err error) *providers.Error {
	e := explain("the exchange in "+provider, "the token in "+secret.String(), err)
	return with(e, err, "invalid_grant", "the token must be a live one of the provider's issuer, for an audience that the provider allows")
}

func explainImpersonation(source accessToken, t target, err error) *providers.Error {
	e := explain("generateAccessToken of "+t.email, source.holder, err)
	whom := source.member
	if whom == "" {
		whom = source.holder
	}
	grant := "grant roles/iam.workloadIdentityUser on the service account to %s"
	if source.member == member(source.holder) || source.holder == controller {
		grant = "grant roles/iam.serviceAccountTokenCreator on the service account to %s"
	}
	e = with(e, err, "PERMISSION_DENIED", grant+", and check that it exists", whom)
	if t.lifetime > defaultLifetime {
		e = with(e, err, "INVALID_ARGUMENT", "a tokenLifetime of more than 1h needs the service account in the organization policy constraints/iam.allowServiceAccountCredentialLifetimeExtension")
	}
	return e
}

func (c *call) explainKey(email string, err error) *providers.Error {
	if !heardOf(err) {
		return c.unfit("holds a private_key in %s that is none: create a new key", keyCredentials)
	}
	e := explain("a token for "+email, "the key in "+c.id.Secret.String(), err)
	return with(e, err, "invalid_grant", "create a new key if this one or the service account is deleted or disabled; check the clock of the controller's node")
}

func (c *call) explainFile(err error) *providers.Error {
	if !heardOf(err) {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the credentials that %s of the controller names cannot be used: "+
			"check the private key, or that the source of the token that they point to is there", envCredentials)
	}
	return explain("a token with the credentials that "+envCredentials+" names", controller, err)
}

// heardOf says whether the error came from the network, and not from what was to be sent.
func heardOf(err error) bool {
	_, refused := errors.AsType[*refusal](err)
	_, silent := errors.AsType[*silence](err)
	return refused || silent || errors.Is(err, context.Canceled) || outbound.IsTimeout(err)
}

func explainMetadata(err error) *providers.Error {
	if refused, ok := errors.AsType[*refusal](err); ok && (refused.status == http.StatusNotFound || refused.status == http.StatusForbidden) {
		return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "the metadata server has no token for the controller (HTTP status %d): "+
			"give the node a service account, or on GKE turn on workload identity federation for the node pool", refused.status)
	}
	return explain("a token of the metadata server", controller, err)
}

func noIdentity() *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "the controller has no Google identity of its own: "+
		"give it one (metadata server of GKE or Compute Engine, %s), or name one in identity", envCredentials)
}

var cures = outbound.Cures{Name: "check the cluster's DNS", Authorities: "SSL_CERT_FILE"}
