package acr

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// refusals are the codes of Entra that say what to mend. Source: "Microsoft Entra authentication and authorization error codes".
var refusals = map[string]struct{ reason, cure string }{
	"AADSTS700016":  {v1alpha1.ReasonAccessDenied, "there is no such application in the tenant: check the client ID and the tenant ID"},
	"AADSTS7000112": {v1alpha1.ReasonAccessDenied, "the application is disabled: enable it"},
	"AADSTS7000215": {v1alpha1.ReasonAccessDenied, "the client secret is wrong: replace " + keyClientSecret + " by the secret's value, not its ID"},
	"AADSTS7000222": {v1alpha1.ReasonAccessDenied, "the client secret has expired: make a new one and replace " + keyClientSecret},
	"AADSTS700027":  {v1alpha1.ReasonAccessDenied, "the certificate is not one of the application's: upload it there, or replace " + keyClientCertificate},
	"AADSTS700024":  {v1alpha1.ReasonAccessDenied, "the token or the certificate's assertion is not valid at this time: check the clocks of the cluster's nodes"},
	"AADSTS70021":   {v1alpha1.ReasonAccessDenied, "it has no matching federated credential"},
	"AADSTS700211":  {v1alpha1.ReasonAccessDenied, "it has no federated credential for the cluster's issuer"},
	"AADSTS700212":  {v1alpha1.ReasonAccessDenied, "it has no federated credential for this audience"},
	"AADSTS700213":  {v1alpha1.ReasonAccessDenied, "it has no federated credential for this subject"},
	"AADSTS50166":   {v1alpha1.ReasonAccessDenied, "Entra cannot read the cluster's issuer: it and its keys must be reachable from the internet"},
	"AADSTS53003":   {v1alpha1.ReasonAccessDenied, "a Conditional Access policy blocks it: exempt the workload identity or the controller's address"},
	"AADSTS500011":  {v1alpha1.ReasonAccessDenied, "the tenant does not know Azure Container Registry: register the resource provider Microsoft.ContainerRegistry"},
	"AADSTS90002":   {v1alpha1.ReasonInvalidRequest, "there is no such tenant in this cloud: check the tenant ID, and that the registry's suffix is that of the tenant's cloud"},
	"AADSTS900023":  {v1alpha1.ReasonInvalidRequest, "there is no such tenant: check the tenant ID"},
	"AADSTS50196":   {v1alpha1.ReasonThrottled, "it asks too often; it is tried again more slowly"},
	"AADSTS90055":   {v1alpha1.ReasonThrottled, "the tenant has too many requests; it is tried again more slowly"},
}

// explainEntra explains why Entra gave no token. It speaks of codes, never in Entra's or the SDK's words: those quote requests.
func explainEntra(a answer, id identity) *providers.Error {
	const action = "signing in to Microsoft Entra"
	if r, ok := refusals[a.code]; ok {
		cure := r.cure
		if id.trust != "" && strings.HasPrefix(a.code, "AADSTS70021") {
			cure += ": add one with the cluster's issuer, " + id.trust
		}
		return &providers.Error{Reason: r.reason, RetryAfter: a.retryAfter, Err: fmt.Errorf("%s is refused to %s (%s): %s", action, id.name, a.code, cure)}
	}
	if a.code != "" && a.status < http.StatusInternalServerError && a.status != http.StatusTooManyRequests {
		return &providers.Error{Reason: v1alpha1.ReasonAccessDenied, RetryAfter: a.retryAfter,
			Err: fmt.Errorf("%s is refused to %s (%s): look the code up at https://login.microsoftonline.com/error", action, id.name, a.code)}
	}
	return ownThrottle(a.explain(action+" as "+id.name, "check the cluster's DNS and "+envAuthorityHost))
}

// ownThrottle is for those who count by application or by node: one call too many is the caller's own, and concerns no other.
func ownThrottle(e *providers.Error) *providers.Error {
	if e.Reason == v1alpha1.ReasonThrottled {
		e.Scope = providers.ScopeRequest
	}
	return e
}

// explainManagedIdentity explains why the endpoint on the node gave no token. Its statuses are those of "How to use managed
// identities to acquire an access token", error handling.
func explainManagedIdentity(a answer, id identity) *providers.Error {
	action := "getting a token for " + id.name
	var op *net.OpError
	switch {
	case errors.As(a.err, &op) && op.Op == "dial":
		return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "the controller has no Azure identity of its own, as the node has no endpoint for managed identities: "+
			"give it one (workload identity, or a managed identity), or name one in identity")
	case a.status == http.StatusBadRequest:
		return providers.Errorf(v1alpha1.ReasonIdentityNotFound, "%s failed with HTTP status 400: it is not assigned to the node; "+
			"assign it, correct acr.managedIdentity, acr.clientID or AZURE_CLIENT_ID, or name an identity in identity", action)
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		return &providers.Error{Reason: v1alpha1.ReasonUnavailable, RetryAfter: a.retryAfter,
			Err: fmt.Errorf("%s failed with HTTP status %d: the node's identity endpoint is being updated, or the node is not one of Azure's; it is tried again", action, a.status)}
	}
	return ownThrottle(a.explain(action, "check IDENTITY_ENDPOINT"))
}

// explainExchange explains why the registry gave no token for Entra's.
func explainExchange(a answer, reg registry, id identity) *providers.Error {
	action := fmt.Sprintf("exchanging the Entra token of %s at %s", id.name, reg.host)
	switch a.status {
	case http.StatusUnauthorized:
		return providers.Errorf(v1alpha1.ReasonAccessDenied, "%s is refused with HTTP status 401: give the identity a role on the registry (AcrPull or, "+
			"with ABAC repository permissions, Container Registry Repository Reader), and check that both are in one tenant", action)
	case http.StatusForbidden:
		return providers.Errorf(v1alpha1.ReasonAccessDenied, "%s is refused with HTTP status 403: the registry's firewall does not let the controller in; "+
			"allow its outbound address, or use a private endpoint", action)
	case http.StatusNotFound:
		return providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s failed with HTTP status 404: this is no Azure Container Registry; check acr.registry", action)
	}
	return a.explain(action, "no registry has this name, or the DNS zone of its private endpoint is not linked to the cluster's network")
}

// explain is for what is no refusal.
func (a answer) explain(action, dnsCure string) *providers.Error {
	switch {
	case a.err != nil:
		return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: outbound.Scope(a.err),
			Err: fmt.Errorf("%s got no answer: %s", action, outbound.Cures{Name: dnsCure, Authorities: "SSL_CERT_FILE"}.NoAnswer(a.err))}
	case a.status == 0:
		return providers.Errorf(v1alpha1.ReasonUnavailable, "%s could not be sent: check the AZURE_ variables of the controller", action)
	case a.status == http.StatusTooManyRequests:
		return &providers.Error{Reason: v1alpha1.ReasonThrottled, Scope: providers.ScopeEndpoint, RetryAfter: a.retryAfter,
			Err: fmt.Errorf("%s is throttled (HTTP status 429); it is tried again more slowly", action)}
	case a.status < http.StatusMultipleChoices:
		return providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s was answered with something else than a token; check any proxy in between", action)
	case a.status < http.StatusBadRequest:
		return providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s was answered with a redirect, which is not followed (HTTP status %d); "+
			"check any proxy in between", action, a.status)
	case a.status < http.StatusInternalServerError:
		return &providers.Error{Reason: v1alpha1.ReasonInvalidResponse, RetryAfter: a.retryAfter,
			Err: fmt.Errorf("%s failed with HTTP status %d, and no reason that is known; check any proxy in between", action, a.status)}
	default:
		return &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, RetryAfter: a.retryAfter,
			Err: fmt.Errorf("%s failed with HTTP status %d; it is tried again", action, a.status)}
	}
}

func badCertificate(secret *providers.Secret) error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s of %s is not a certificate with its RSA key: "+
		"write both in PEM, the key unencrypted, one after the other", keyClientCertificate, secret)
}

// unusable is for what the checks have left over when a credential is made.
func unusable(id identity, err error) error {
	if err == nil {
		return nil
	}
	return providers.Errorf(v1alpha1.ReasonInternal, "no credential can be made for %s; please report this as a bug", id.name)
}
