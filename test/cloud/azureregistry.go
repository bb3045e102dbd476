package cloud

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ActionACRExchange is the exchange of a token of Entra for a registry's refresh token.
const ActionACRExchange = "acr:Exchange"

const (
	azureExchangePath = "/oauth2/exchange"
	azureRealmPath    = "/oauth2/token"
	azureRefreshUser  = "00000000-0000-0000-0000-000000000000"
	azureUnauthorized = "authentication required, visit https://aka.ms/acr/authorization for more information."
	azureARMAudiences = "https://management."
)

func (a *Azure) registryHandler() http.Handler {
	registry := a.registry.service(a.Registry, a.calls, a.clock)
	plain := registry.action
	registry.action = func(r *request) string {
		if r.URL.Path == azureRealmPath {
			return ActionRealmToken
		}
		return plain(r)
	}
	guarded := registry.answer
	registry.answer = func(r *request) (http.HandlerFunc, *failure) {
		if r.URL.Path == azureRealmPath && r.Method == http.MethodPost {
			formAsQuery(r)
		}
		return guarded(r)
	}
	registry.refuse = a.refuseACR
	exchange := &service{
		faults: a.Exchange, calls: a.calls, clock: a.clock, throttled: registry.throttled, down: registry.down,
		action: func(*request) string { return ActionACRExchange }, answer: a.exchange, refuse: a.refuseACR,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == azureExchangePath && r.Method == http.MethodPost { // another method finds nothing (Azure/acr issue 166)
			exchange.ServeHTTP(w, r)
			return
		}
		registry.ServeHTTP(w, r)
	})
}

// formAsQuery turns the form of OAuth (distribution specification, auth/oauth.md) into the query and the Basic header of the older
// way, which say the same.
func formAsQuery(r *request) {
	form, _ := url.ParseQuery(string(r.body)) // what does not parse has no credentials
	switch form.Get("grant_type") {
	case "refresh_token":
		r.SetBasicAuth(azureRefreshUser, form.Get("refresh_token"))
	case "password":
		r.SetBasicAuth(form.Get("username"), form.Get("password"))
	}
	query := url.Values{}
	for _, scopes := range form["scope"] {
		for scope := range strings.FieldsSeq(scopes) {
			query.Add("scope", scope)
		}
	}
	r.URL.RawQuery = query.Encode()
}

// azureAccessLife is that of a registry's access token, as users have measured it (azure-management-docs PR 29).
const azureAccessLife = 75 * time.Minute

// signAccessToken makes an access token, which says what it is for.
func (a *Azure) signAccessToken(b bearer) string {
	access := make([]map[string]any, len(b.repositories))
	for i, repository := range b.repositories {
		access[i] = map[string]any{"type": "repository", "name": repository, "actions": []string{"pull"}}
	}
	return azureSign(a.acrKey, jwt.MapClaims{
		"jti": newSecret(CanaryRealm, 16), "iss": "Azure Container Registry", "aud": b.registry, "sub": b.principal, "grant_type": "access_token",
		"iat": a.clock.now().Unix(), "exp": b.expires.Unix(), "access": access,
	})
}

func (a *Azure) exchange(r *request) (http.HandlerFunc, *failure) {
	form, _ := url.ParseQuery(string(r.body)) // what does not parse has no grant_type
	registry, ok := a.registryAt(r.Host)
	unauthorized := &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: azureUnauthorized}
	switch {
	case !ok:
		return nil, &failure{status: http.StatusNotFound, code: codeNameUnknown, message: "no registry at " + r.Host}
	case registry.Firewall:
		return nil, denied(http.StatusForbidden, "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.")
	case form.Get("grant_type") != "access_token" || form.Get("service") != r.Host:
		return nil, &failure{status: http.StatusBadRequest, code: "BAD_REQUEST", message: "grant_type and service must be access_token and the registry"}
	}
	claims := entraClaims{}
	if _, err := jwt.NewParser(jwt.WithTimeFunc(a.clock.now), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"HS256"})).
		ParseWithClaims(form.Get("access_token"), &claims, func(*jwt.Token) (any, error) { return a.entraKey, nil }); err != nil {
		return nil, unauthorized
	}
	audience := claims.Audience[0]
	switch tenant := form.Get("tenant"); {
	case audience != a.resourceOf(registry.Host) && (!registry.AllowARMTokens || !strings.HasPrefix(audience, azureARMAudiences)):
		return nil, unauthorized
	case claims.TenantID != registry.Tenant, tenant != "" && tenant != claims.TenantID:
		return nil, unauthorized
	case !strings.HasPrefix(claims.Issuer, "https://"+a.authorityOf(registry.Host)+"/"):
		return nil, unauthorized
	case !a.hasRole(registry, claims.AppID):
		return nil, unauthorized
	}
	token := a.issueRefreshToken(registry, claims.AppID, claims.TenantID)
	return azureJSON(http.StatusOK, map[string]string{"refresh_token": token}), nil
}

// azureRegistry is a registry whose realm takes refresh tokens. What a token may do is decided when it is shown, not when it is made.
func (a *Azure) azureRegistry() *guardedRegistry {
	self := func(registry string) string { return registry }
	realm := &tokenRealm{
		host: self, path: azureRealmPath, service: self, clock: a.clock, life: azureAccessLife, sign: a.signAccessToken,
		may: func(principal, host, repository, _ string) bool {
			registry, ok := a.registryAt(host)
			clientID, scope, scoped := strings.Cut(principal, " ")
			return ok && a.mayPull(registry, clientID, repository) && (!scoped || slices.Contains(strings.Fields(scope), repository))
		},
	}
	// An access token is a password, too, for what it is for (Azure/msi-acrpull publishes it as one).
	realm.authenticate = func(host, username, password string) (string, *failure) {
		registry, _ := a.registryAt(host)
		unauthorized := &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: azureUnauthorized}
		if b, ok := realm.find(password); ok && username == azureRefreshUser && b.registry == host {
			clientID, _, _ := strings.Cut(b.principal, " ")
			return strings.Join(append([]string{clientID}, b.repositories...), " "), nil
		}
		token, ok := a.liveToken(password)
		if !ok || username != azureRefreshUser || token.Registry != registry.Host {
			return "", unauthorized
		}
		return token.ClientID, nil
	}
	return &guardedRegistry{
		namespace: func(host string) (string, bool) {
			registry, ok := a.registryAt(host)
			return registry.Host, ok
		},
		guard: func(r registryRequest) *failure {
			failed := realm.guard(r)
			if failed != nil {
				// A token that is not for this repository is none at all to ACR.
				failed = &failure{status: http.StatusUnauthorized, code: codeUnauthorized, message: azureUnauthorized}
			}
			return failed
		},
		challenge: realm.challenge,
		realm:     realm,
	}
}

// refuseACR answers in the form of the distribution specification, a 401 with its challenge.
func (a *Azure) refuseACR(w http.ResponseWriter, r *request, f *failure) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if f.status == http.StatusUnauthorized && r.URL.Path != azureExchangePath {
		req := parseRegistryRequest(r.Request)
		a.registry.challenge(w.Header(), req)
		if req.repository != "" {
			w.Header().Set("Www-Authenticate", w.Header().Get("Www-Authenticate")+fmt.Sprintf(`,scope="repository:%s:pull"`, req.repository))
		}
	}
	azureJSON(f.status, map[string]any{"errors": []map[string]any{{"code": f.code, "message": f.message, "detail": nil}}})(w, r.Request)
}
