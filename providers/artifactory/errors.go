package artifactory

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// refusal is what a refusing answer means for one call, and what helps.
type refusal struct {
	reason, cure string
	terminal     bool
}

// JFrog's reference promises 400, 401 and 403 only, and its answers to one cause have changed with versions; so the cures name all that
// the status can mean.

func exchangeCures(spec *v1alpha1.Artifactory, audience string, sa *providers.ServiceAccount) map[int]refusal {
	mapping := "an identity mapping of the integration " + spec.ProviderName
	if spec.IdentityMappingName != "" {
		mapping = "the identity mapping " + spec.IdentityMappingName + " of the integration " + spec.ProviderName
	}
	if spec.ProjectKey != "" {
		mapping += ", in project " + spec.ProjectKey + " or in none,"
	}
	match := fmt.Sprintf("%s must match the claims iss (the cluster's issuer), sub system:serviceaccount:%s:%s and aud %s",
		mapping, sa.Namespace, sa.Name, audience)
	return map[int]refusal{
		http.StatusBadRequest: {reason: v1alpha1.ReasonInvalidRequest, cure: "check that the OpenID Connect integration " + spec.ProviderName +
			" exists and expects this audience, and that " + match},
		http.StatusUnauthorized: {reason: v1alpha1.ReasonAccessDenied, cure: "JFrog must be able to fetch the keys of the cluster's issuer, and " + match},
		http.StatusForbidden:    {reason: v1alpha1.ReasonAccessDenied, cure: match},
		http.StatusNotFound: {reason: v1alpha1.ReasonInvalidRequest, cure: "create the OpenID Connect integration " + spec.ProviderName +
			" (Artifactory 7.77.3 or later), or correct artifactory.providerName; and check artifactory.url"},
	}
}

func createCures(secret *providers.Secret) map[int]refusal {
	return map[int]refusal{
		http.StatusBadRequest: {reason: v1alpha1.ReasonInvalidRequest, cure: "check artifactory.username, scope, tokenLifetime and projectKey"},
		http.StatusUnauthorized: {reason: v1alpha1.ReasonAccessDenied,
			cure: "its token has expired, was revoked or is of another platform: replace the key " + keyToken + " of " + secret.String()},
		http.StatusForbidden: {reason: v1alpha1.ReasonAccessDenied, cure: "set artifactory.tokenLifetime to no more than the administrator allows, " +
			"and use the token of an administrator for another user's token, for groups or for a project"},
		http.StatusNotFound: {reason: v1alpha1.ReasonInvalidRequest,
			cure: "there is no JFrog platform of version 7.21.1 or later at this address: correct artifactory.url"},
	}
}

func revokeCures(secret *providers.Secret) map[int]refusal {
	return map[int]refusal{
		http.StatusBadRequest: {reason: v1alpha1.ReasonInvalidRequest, terminal: true,
			cure: "another instance has issued that token, or it is too short to be revoked; it ends by itself when it expires"},
		http.StatusUnauthorized: {reason: v1alpha1.ReasonAccessDenied,
			cure: "its token has expired, was revoked or is of another platform: replace the key " + keyToken + " of " + secret.String()},
		http.StatusForbidden: {reason: v1alpha1.ReasonAccessDenied, cure: "it takes the token of the same user or of an administrator"},
	}
}

// explain turns an answer other than a success into an error that may be shown. It speaks of the status, never in JFrog's words: those
// may quote the request.
func (c call) explain(res *http.Response) *providers.Error {
	after := outbound.RetryAfter(res.Header)
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		// Whose requests are counted is not said: by JFrog those of a user, in front of it those of an address. One user's must not rest the
		// platform for all.
		return &providers.Error{Reason: v1alpha1.ReasonThrottled, RetryAfter: after,
			Err: fmt.Errorf("%s is one request too many for JFrog (HTTP status 429): it is tried again more slowly", c.action)}
	case res.StatusCode >= 500:
		return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, RetryAfter: after,
			Err: fmt.Errorf("%s failed with HTTP status %d; it is tried again", c.action, res.StatusCode)}
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s was answered with a redirect, which is not followed: "+
			"set artifactory.url to the platform's own address", c.action)
	}
	r, known := c.cures[res.StatusCode]
	switch {
	case known && !isForeign(res):
		return &providers.Error{Reason: r.reason, RetryAfter: after, Terminal: r.terminal,
			Err: fmt.Errorf("%s is refused (HTTP status %d): %s", c.action, res.StatusCode, r.cure)}
	case known:
		return &providers.Error{Reason: v1alpha1.ReasonInvalidResponse, RetryAfter: after, Err: fmt.Errorf("%s is refused (HTTP status %d) "+
			"by something that does not answer in JSON, as JFrog does: check artifactory.url, and any proxy or firewall in between",
			c.action, res.StatusCode)}
	default:
		return &providers.Error{Reason: v1alpha1.ReasonInvalidResponse, RetryAfter: after,
			Err: fmt.Errorf("%s was answered with HTTP status %d: check artifactory.url and any proxy in between", c.action, res.StatusCode)}
	}
}

// unanswered explains why there is no answer, or not all of it.
func (c call) unanswered(host string, err error) *providers.Error {
	if errors.Is(err, outbound.ErrTooLarge) {
		return c.invalid("with more than 64 KiB: check artifactory.url and any proxy in between")
	}
	if errors.Is(err, outbound.ErrForbiddenAddress) {
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s is not sent: %s is, or resolves to, a loopback, link-local or metadata address; "+
			"correct artifactory.url", c.action, host)
	}
	return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: outbound.Scope(err),
		Err: fmt.Errorf("%s got no answer from %s: %s", c.action, host, cures.NoAnswer(err))}
}

var cures = outbound.Cures{
	Name: "check artifactory.url and the cluster's DNS", Authorities: "the authorities of the controller (SSL_CERT_FILE)", Endpoint: "artifactory.url",
}
