package cloud

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The actions of Entra.
const (
	ActionEntraToken     = "entra:Token"
	ActionEntraDiscovery = "entra:Discovery"
)

const (
	azureTokenPath    = "/oauth2/v2.0/token"
	azureMetadataPath = "/v2.0/.well-known/openid-configuration"
	azureInstancePath = "/common/discovery/instance"
	azureEntraLife    = time.Hour
	azureManagedLife  = 24 * time.Hour
	// azureRegistryAudience is what a token for registries is for.
	azureRegistryAudience = "https://containerregistry.azure.net"
)

// azureAudiences are the resources that a token can be for.
var azureAudiences = map[string]bool{
	azureRegistryAudience: true, "https://management.azure.com": true, "https://management.chinacloudapi.cn": true, "https://management.usgovcloudapi.net": true,
}

// azureErrors are the OAuth errors behind Entra's own codes.
var azureErrors = map[string]string{
	"AADSTS700016": "unauthorized_client", "AADSTS7000112": "unauthorized_client", "AADSTS7000215": "invalid_client", "AADSTS7000222": "invalid_client",
	"AADSTS7000216": "invalid_client", "AADSTS700027": "invalid_client", "AADSTS700024": "invalid_client", "AADSTS700211": "invalid_request",
	"AADSTS700212": "invalid_request", "AADSTS700213": "invalid_request", "AADSTS50027": "invalid_request", "AADSTS90002": "invalid_request",
	"AADSTS500011": "invalid_resource", "AADSTS90055": "temporarily_unavailable", "AADSTS90033": "temporarily_unavailable",
	"AADSTS900144": "invalid_request", "AADSTS70003": "unsupported_grant_type", "AADSTS90014": "invalid_request",
}

func (a *Azure) entraHandler() http.Handler {
	base := service{
		calls: a.calls, clock: a.clock, refuse: refuseEntra,
		throttled: failure{status: http.StatusTooManyRequests, code: "AADSTS90055", message: "The server is busy with too many requests of this tenant."},
		down:      failure{status: http.StatusServiceUnavailable, code: "AADSTS90033", message: "A transient error has occurred. Please try again."},
	}
	token, discovery := base, base
	token.faults, token.answer = a.Entra, a.entraToken
	token.action = func(*request) string { return ActionEntraToken }
	discovery.faults, discovery.answer = a.Discovery, a.entraDiscovery
	discovery.action = func(*request) string { return ActionEntraDiscovery }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, azureTokenPath) {
			token.ServeHTTP(w, r)
			return
		}
		discovery.ServeHTTP(w, r)
	})
}

// entraDiscovery answers what clients ask before their first token: which endpoints a tenant and a cloud have.
func (a *Azure) entraDiscovery(r *request) (http.HandlerFunc, *failure) {
	if r.URL.Path == azureInstancePath {
		return azureJSON(http.StatusOK, map[string]any{
			"tenant_discovery_endpoint": "https://" + r.Host + "/" + AzureTenant + azureMetadataPath, "api-version": "1.1",
			"metadata": []map[string]any{{"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host}}},
		}), nil
	}
	tenant, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), azureMetadataPath)
	if !ok {
		return nil, &failure{status: http.StatusNotFound, code: "AADSTS900144", message: "There is nothing at this address."}
	}
	if failed := a.checkTenant(r.Host, tenant); failed != nil {
		return nil, failed
	}
	base := "https://" + r.Host + "/" + tenant
	return azureJSON(http.StatusOK, map[string]any{
		"token_endpoint": base + azureTokenPath, "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0",
		"jwks_uri": base + "/discovery/v2.0/keys", "token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
	}), nil
}

func (a *Azure) checkTenant(authority, tenant string) *failure {
	if a.tenantExists(authority, tenant) {
		return nil
	}
	return &failure{status: http.StatusBadRequest, code: "AADSTS90002", message: fmt.Sprintf("Tenant '%s' not found. Check to make sure you have "+
		"the correct tenant ID and are signing into the correct cloud.", tenant)}
}

func (a *Azure) entraToken(r *request) (http.HandlerFunc, *failure) {
	form, _ := url.ParseQuery(string(r.body)) // what does not parse has no grant_type
	tenant := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), azureTokenPath)
	if failed := a.checkTenant(r.Host, tenant); failed != nil {
		return nil, failed
	}
	if form.Get("grant_type") != "client_credentials" {
		return nil, &failure{status: http.StatusBadRequest, code: "AADSTS70003", message: "The app requested an unsupported grant type."}
	}
	clientID := form.Get("client_id")
	app, ok := a.application(r.Host, tenant, clientID)
	switch {
	case !ok:
		return nil, &failure{status: http.StatusBadRequest, code: "AADSTS700016",
			message: fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'.", clientID, tenant)}
	case app.Disabled:
		return nil, &failure{status: http.StatusUnauthorized, code: "AADSTS7000112", message: fmt.Sprintf("Application '%s' is disabled.", clientID)}
	}
	if failed := a.authenticateApplication(app, form, "https://"+r.Host+r.URL.Path); failed != nil {
		return nil, failed
	}
	// MSAL adds the scopes of OpenID Connect, which mean nothing for an application.
	scope, _, _ := strings.Cut(form.Get("scope"), " ")
	audience, ok := strings.CutSuffix(scope, "/.default")
	if !ok || !a.isResource(audience) {
		return nil, &failure{status: http.StatusBadRequest, code: "AADSTS500011",
			message: fmt.Sprintf("The resource principal named %s was not found in the tenant named %s.", audience, tenant)}
	}
	token := a.entraIssue(r.Host, tenant, clientID, audience, azureEntraLife)
	return azureJSON(http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": int(azureEntraLife.Seconds()) - 1, "ext_expires_in": int(azureEntraLife.Seconds()) - 1, "access_token": token,
	}), nil
}

// entraClaims are those of an application's token that a registry looks at.
type entraClaims struct {
	jwt.RegisteredClaims
	AppID    string `json:"appid"`
	TenantID string `json:"tid"`
	// UTI is Entra's own ID of the token.
	UTI string `json:"uti"`
}

func (a *Azure) entraIssue(authority, tenant, clientID, audience string, life time.Duration) string {
	now := a.clock.now()
	a.mu.Lock()
	tenant = cmp.Or(a.tenantIDs[tenant], tenant)
	a.mu.Unlock()
	return azureSign(a.entraKey, entraClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "https://" + authority + "/" + tenant + "/v2.0", Audience: jwt.ClaimStrings{audience},
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		AppID: clientID, TenantID: tenant, UTI: newSecret(CanaryEntra, 16),
	})
}

func azureSign(key []byte, claims jwt.Claims) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
	if err != nil {
		panic(err) // a key of bytes signs any claims
	}
	return token
}

// refuseEntra answers as Entra does, with all the words that a client must not repeat.
func refuseEntra(w http.ResponseWriter, _ *request, f *failure) {
	trace, correlation, now := newRequestID(), newRequestID(), time.Now().UTC().Format("2006-01-02 15:04:05Z")
	number, _ := strconv.Atoi(strings.TrimPrefix(f.code, "AADSTS"))
	azureJSON(f.status, map[string]any{
		"error":             azureErrors[f.code],
		"error_description": fmt.Sprintf("%s: %s Trace ID: %s Correlation ID: %s Timestamp: %s", f.code, f.message, trace, correlation, now),
		"error_codes":       []int{number}, "timestamp": now, "trace_id": trace, "correlation_id": correlation,
		"error_uri": "https://login.microsoftonline.com/error?code=" + strconv.Itoa(number),
	})(w, nil)
}

func azureJSON(status int, body any) http.HandlerFunc {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // the answers are plain values
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Ms-Request-Id", newRequestID())
		writeWhole(w, status, "application/json; charset=utf-8", encoded)
	}
}
