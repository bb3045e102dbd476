package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/test/cloud/facts"
)

// The actions of the two token endpoints that are emulated.
const (
	ActionGoogleExchange = "google-sts:ExchangeToken"
	ActionGoogleJWTGrant = "google-oauth2:Token"
)

const (
	googleScope     = facts.GoogleScope
	googleAudience  = "https://iam.googleapis.com/"
	googleOAuthURL  = "https://oauth2.googleapis.com/token"
	googleJWTSkew   = 5 * time.Minute
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	googleJWTGrant  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	googleReadOnly  = googleScope + ".read-only"
)

// googleClusterURLs are what an identity namespace is asked for: a GKE cluster, or the membership of a cluster in a fleet.
var googleClusterURLs = []string{":https://container.googleapis.com/v1/", ":https://gkehub.googleapis.com/"}

// googleScopeOf is the one of a request that counts; empty if there is none.
func googleScopeOf(scopes []string) string {
	for _, scope := range []string{googleScope, googleReadOnly} {
		if slices.Contains(scopes, scope) {
			return scope
		}
	}
	return ""
}

func (g *Google) stsService() *service {
	return g.googleService(g.STS, func(*request) string { return ActionGoogleExchange }, g.exchangeToken)
}

func (g *Google) oauthService() *service {
	return g.googleService(g.OAuth2, func(*request) string { return ActionGoogleJWTGrant }, g.jwtGrant)
}

func oauthFailure(code, message string) *failure {
	return &failure{status: http.StatusBadRequest, code: code, message: message}
}

// exchangeToken is RFC 8693 as the Security Token Service has it.
func (g *Google) exchangeToken(r *request) (http.HandlerFunc, *failure) {
	form, err := url.ParseQuery(string(r.body))
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/token":
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "Requested entity was not found."}
	case err != nil || form.Get("grant_type") != exchangeGrant || form.Get("requested_token_type") != accessTokenType:
		return nil, oauthFailure("invalid_request", "Invalid grant_type or requested_token_type.")
	case r.Header.Get("Authorization") != "":
		return nil, oauthFailure("invalid_request", "Workload identity pools take no client authentication.")
	case googleScopeOf(strings.Fields(form.Get("scope"))) == "":
		return nil, oauthFailure("invalid_scope", "Invalid scope.")
	}
	claims := jwt.RegisteredClaims{}
	switch err := g.internet.parseIdentityToken(form.Get("subject_token"), &claims); {
	case errors.Is(err, jwt.ErrTokenMalformed) || err == nil && claims.ExpiresAt == nil:
		return nil, oauthFailure("invalid_request", "Error parsing the ID Token.")
	case err != nil:
		return nil, oauthFailure("invalid_grant", "The signature of the ID Token is invalid.")
	}
	member, failed := g.federate(form.Get("audience"), claims)
	if failed != nil {
		return nil, failed
	}
	left := claims.ExpiresAt.Sub(g.clock.wall())
	if left < time.Second {
		return nil, oauthFailure("invalid_grant", "ID Token has expired.")
	}
	// The result never outlives the subject token.
	token, issued := g.tokens.mint(member, googleScopeOf(strings.Fields(form.Get("scope"))), g.clock.now(), min(g.life(googleTokenLife), left))
	return writeGoogle(map[string]any{
		"access_token": token, "issued_token_type": accessTokenType, "token_type": "Bearer",
		"expires_in": int(issued.ExpiresAt.Sub(issued.IssuedAt).Seconds()),
	}), nil
}

// federate finds out who the subject of a token is for an audience, and whether it is trusted.
func (g *Google) federate(audience string, claims jwt.RegisteredClaims) (member string, failed *failure) {
	if namespace, ok := strings.CutPrefix(audience, "identitynamespace:"); ok {
		var name string
		for _, url := range googleClusterURLs {
			if before, after, ok := strings.Cut(namespace, url); ok {
				namespace, name = before, after
			}
		}
		cluster, ok := g.iam.cluster(name)
		if !ok || cluster.namespace() != namespace {
			return "", unknownTarget()
		}
		parts := strings.Split(claims.Subject, ":")
		if len(parts) != 4 || parts[0] != "system" || parts[1] != "serviceaccount" {
			return "", oauthFailure("invalid_grant", "The subject is not a Kubernetes ServiceAccount.")
		}
		return cluster.Member(parts[2], parts[3]), trusted(claims, cluster.Issuer, []string{namespace}, nil)
	}
	name, _ := strings.CutPrefix(audience, "//iam.googleapis.com/")
	provider, ok := g.iam.provider(name)
	if !ok {
		return "", unknownTarget()
	}
	audiences := provider.Audiences
	if len(audiences) == 0 {
		audiences = []string{googleAudience + provider.Name, "//iam.googleapis.com/" + provider.Name}
	}
	return provider.Member(claims.Subject), trusted(claims, provider.Issuer, audiences, provider.Subjects)
}

func trusted(claims jwt.RegisteredClaims, issuer string, audiences, subjects []string) *failure {
	switch {
	case claims.Issuer != issuer:
		return oauthFailure("invalid_grant", fmt.Sprintf("The issuer in ID Token %s does not match the expected ones: %s", claims.Issuer, issuer))
	case !slices.ContainsFunc(claims.Audience, func(a string) bool { return slices.Contains(audiences, a) }):
		return oauthFailure("invalid_grant", fmt.Sprintf("The audience in ID Token %v does not match the expected audience.", claims.Audience))
	case len(subjects) > 0 && !slices.Contains(subjects, claims.Subject):
		return oauthFailure("unauthorized_client", "The given credential is rejected by the attribute condition.")
	}
	return nil
}

func unknownTarget() *failure {
	return oauthFailure("invalid_target", `The target service indicated by the "audience" parameters is invalid. `+
		"This might either be because the pool or provider is disabled or deleted or because it doesn't exist.")
}

// jwtGrant is RFC 7523 for service accounts' keys.
func (g *Google) jwtGrant(r *request) (http.HandlerFunc, *failure) {
	form, err := url.ParseQuery(string(r.body))
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/token":
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "Not found"}
	case err != nil || form.Get("grant_type") != googleJWTGrant:
		return nil, oauthFailure("unsupported_grant_type", "Invalid grant_type")
	}
	var claims struct {
		jwt.RegisteredClaims
		Scope string `json:"scope"`
	}
	var key googleKey
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(googleOAuthURL), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(googleJWTSkew), jwt.WithTimeFunc(g.clock.wall)).
		ParseWithClaims(form.Get("assertion"), &claims, func(t *jwt.Token) (any, error) {
			id, _ := t.Header["kid"].(string)
			found, ok := g.iam.key(id)
			if !ok || found.email != claims.Issuer {
				return nil, jwt.ErrTokenUnverifiable
			}
			key = found
			return found.public, nil
		})
	account, ok := g.iam.account(key.email)
	switch {
	case err != nil:
		return nil, oauthFailure("invalid_grant", "Invalid JWT Signature.")
	case claims.IssuedAt == nil || claims.ExpiresAt.Sub(claims.IssuedAt.Time) > time.Hour:
		return nil, oauthFailure("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
	case !ok || account.Disabled:
		return nil, oauthFailure("invalid_grant", "Invalid grant: account not found")
	case googleScopeOf(strings.Fields(claims.Scope)) == "":
		return nil, oauthFailure("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	}
	token, issued := g.tokens.mint(GoogleMember(account.Email), googleScopeOf(strings.Fields(claims.Scope)), g.clock.now(), g.life(googleTokenLife))
	return writeGoogle(map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(issued.ExpiresAt.Sub(issued.IssuedAt).Seconds()),
	}), nil
}
