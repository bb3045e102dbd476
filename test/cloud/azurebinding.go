package cloud

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/test/cloud/facts"
)

// ActionIdentityBinding is a request to AKS for a token of a bound identity.
const ActionIdentityBinding = "aks:IdentityBinding"

// IdentityBindings is the proxy on the API server of an AKS cluster that gives tokens of an application to ServiceAccounts that RBAC lets
// use it (kubernetes-sigs/cloud-provider-azure, pkg/credentialprovider/identity_bindings_credentials.go). It is served where the test wants it.
func (a *Azure) IdentityBindings(clientID string, subjects ...string) http.Handler {
	return &service{
		faults: newFaults(Fault{}), calls: a.calls, clock: a.clock,
		action: func(*request) string { return ActionIdentityBinding },
		refuse: func(w http.ResponseWriter, r *request, f *failure) {
			azureJSON(f.status, map[string]any{"kind": "Status", "status": "Failure", "message": f.message})(w, r.Request)
		},
		answer: func(r *request) (http.HandlerFunc, *failure) {
			form, _ := url.ParseQuery(string(r.body)) // what does not parse has no grant_type
			claims := jwt.RegisteredClaims{}
			err := a.internet.parseIdentityToken(form.Get("client_assertion"), &claims)
			switch {
			case r.Method != http.MethodPost || form.Get("grant_type") != "client_credentials" || form.Get("client_assertion_type") != azureAssertionType,
				form.Get("scope") != facts.AzureRegistryScope:
				return nil, &failure{status: http.StatusBadRequest, message: "malformed request"}
			case err != nil || !slices.Contains(claims.Audience, facts.AKSIdentityBindingAudience):
				return nil, &failure{status: http.StatusUnauthorized, message: "Unauthorized"}
			case form.Get("client_id") != clientID || !slices.Contains(subjects, claims.Subject):
				return nil, &failure{status: http.StatusForbidden, message: "forbidden: cannot use-managed-identity"}
			}
			token := a.entraIssue(AzureAuthority, AzureTenant, clientID, azureRegistryAudience, azureEntraLife)
			return azureJSON(http.StatusOK, map[string]any{"access_token": token, "expires_in": int(azureEntraLife.Seconds())}), nil
		},
	}
}
