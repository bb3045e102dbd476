package cloud

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ActionManagedIdentity is a request for a token of a managed identity.
const ActionManagedIdentity = "managedIdentity:Token"

const (
	azureMetadataTokenPath = "/metadata/identity/oauth2/token"
	azureAppServicePath    = "/msi/token"
)

// nodeService is the metadata service of the node ("How to use managed identities to acquire an access token") and, at another path,
// the endpoint of App Service, which says the same in other headers.
func (a *Azure) nodeService() *service {
	return &service{
		faults: a.ManagedIdentity, calls: a.calls, clock: a.clock,
		throttled: failure{status: http.StatusTooManyRequests, code: "429", message: "Too many requests"},
		down:      failure{status: http.StatusInternalServerError, code: "unknown_error", message: "Failed to retrieve token from the Active directory."},
		action:    func(*request) string { return ActionManagedIdentity },
		answer:    a.managedIdentityToken,
		refuse: func(w http.ResponseWriter, r *request, f *failure) {
			azureJSON(f.status, map[string]string{"error": f.code, "error_description": f.message})(w, r.Request)
		},
	}
}

func (a *Azure) managedIdentityToken(r *request) (http.HandlerFunc, *failure) {
	query := r.URL.Query()
	invalid := func(message string) *failure {
		return &failure{status: http.StatusBadRequest, code: "invalid_request", message: message}
	}
	switch appService := r.URL.Path == azureAppServicePath; {
	case r.Method != http.MethodGet || !appService && r.URL.Path != azureMetadataTokenPath:
		return nil, &failure{status: http.StatusNotFound, code: "not_found", message: "There is nothing at this address."}
	case appService && r.Header.Get("X-Identity-Header") != a.identityHeader:
		return nil, &failure{status: http.StatusUnauthorized, code: "unauthorized", message: "The header X-IDENTITY-HEADER is missing or wrong."}
	case !appService && !strings.EqualFold(r.Header.Get("Metadata"), "true"):
		return nil, invalid("Required metadata header not specified")
	case r.Header.Get("X-Forwarded-For") != "":
		return nil, invalid("A forwarded request is not served")
	case query.Get("api-version") == "":
		return nil, invalid("Required query variable 'api-version' is missing")
	case query.Get("resource") == "":
		return nil, invalid("Required query variable 'resource' is missing")
	}
	a.mu.Lock()
	status := a.identityStatus
	managed := slices.Clone(a.managed)
	a.mu.Unlock()
	if status != 0 {
		return nil, &failure{status: status, code: strconv.Itoa(status), message: http.StatusText(status)}
	}
	audience := strings.TrimSuffix(query.Get("resource"), "/")
	if !a.isResource(audience) {
		return nil, &failure{status: http.StatusBadRequest, code: "invalid_resource", message: "AADSTS500011: The resource principal was not found in the tenant."}
	}
	id, ok := chooseManagedIdentity(managed, query.Get("client_id"), cmp.Or(query.Get("msi_res_id"), query.Get("mi_res_id")))
	if !ok {
		return nil, invalid("Identity not found")
	}
	now := a.clock.now()
	seconds := strconv.Itoa(int(azureManagedLife.Seconds()))
	return azureJSON(http.StatusOK, map[string]string{ // numbers are strings here
		"access_token": a.entraIssue(id.Authority, id.Tenant, id.ClientID, audience, azureManagedLife), "client_id": id.ClientID,
		"expires_in": seconds, "ext_expires_in": seconds, "expires_on": strconv.FormatInt(now.Add(azureManagedLife).Unix(), 10),
		"not_before": strconv.FormatInt(now.Unix(), 10), "resource": query.Get("resource"), "token_type": "Bearer",
	}), nil
}

// chooseManagedIdentity takes the system-assigned one by default or, if there is none, the only one.
func chooseManagedIdentity(managed []AzureManagedIdentity, clientID, resourceID string) (AzureManagedIdentity, bool) {
	for _, id := range managed {
		if resourceID != "" {
			if strings.EqualFold(resourceID, id.ResourceID) {
				return id, true
			}
			continue
		}
		if clientID == id.ClientID || clientID == "" && (id.System || len(managed) == 1) {
			return id, true
		}
	}
	return AzureManagedIdentity{}, false
}
