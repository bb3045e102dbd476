package cloud

import (
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	jfrogExchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jfrogIDToken       = "urn:ietf:params:oauth:token-type:id_token"
	jfrogAccessToken   = "urn:ietf:params:oauth:token-type:access_token"
	// jfrogMappingExpiry is the default expires_in of an identity mapping.
	jfrogMappingExpiry = time.Hour
)

// exchange is "OIDC Token Exchange" of JFrog's REST API reference. It says which of the three things is wrong by its status. The reference has no
// word on this: but for that of a wrong audience (facts.JFrogWrongAudience) the statuses are this emulator's own, and no test may rest on them.
func (j *JFrog) exchange(r *request) (http.HandlerFunc, *failure) {
	fields, failed := jfrogFields(r)
	if failed != nil {
		return nil, failed
	}
	if fields["grant_type"] != jfrogExchangeGrant || fields["subject_token_type"] != jfrogIDToken {
		return nil, jfrogBadRequest("Invalid grant type or subject token type")
	}
	provider, ok := j.provider(fields["provider_name"])
	if !ok {
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "Provider not found"}
	}
	claims := jwt.MapClaims{}
	if err := j.internet.parseIdentityToken(fields["subject_token"], claims); err != nil {
		return nil, jfrogUnauthorized("Invalid token")
	}
	if failed := j.checkSubject(claims, provider); failed != nil {
		return nil, failed
	}
	mapping, ok := provider.match(claims, fields["identity_mapping_name"], fields["project_key"])
	if !ok {
		return nil, jfrogForbidden("No identity mapping matches the claims")
	}
	token := JFrogToken{Username: mapping.Username, Scope: mapping.Scope, ProjectKey: fields["project_key"], Description: mapping.Name}
	if token.Scope == "" {
		token.Scope = jfrogUserScope
	}
	if err := j.checkScope(token.Username, token.Scope); err != nil {
		return nil, jfrogBadRequest(err.Error())
	}
	life := mapping.ExpiresIn
	if life == 0 {
		life = jfrogMappingExpiry
	}
	return j.issue(token, life, func(password string, issued JFrogToken, seconds int) map[string]any {
		answer := map[string]any{
			"access_token": password, "expires_in": seconds, "issued_token_type": jfrogAccessToken, "token_type": "Bearer",
		}
		if !j.options.AnonymousAnswer {
			answer["username"] = issued.Username
		}
		return answer
	}), nil
}

func (j *JFrog) checkSubject(claims jwt.MapClaims, provider JFrogProvider) *failure {
	issuer, _ := claims.GetIssuer()
	expires, _ := claims.GetExpirationTime()
	audience, _ := claims.GetAudience()
	switch {
	case issuer != provider.Issuer:
		return jfrogUnauthorized("Invalid issuer")
	case expires == nil || !j.clock.wall().Before(expires.Time):
		return jfrogUnauthorized("Token has expired")
	case provider.Audience != "" && !slices.Contains(audience, provider.Audience):
		return jfrogBadRequest("Invalid audience")
	}
	return nil
}

// match finds the first mapping whose claims are all in the token.
func (p JFrogProvider) match(claims jwt.MapClaims, name, project string) (JFrogIdentityMapping, bool) {
	i := slices.IndexFunc(p.Mappings, func(m JFrogIdentityMapping) bool {
		if name != "" && m.Name != name || m.ProjectKey != "" && m.ProjectKey != project {
			return false
		}
		for claim, want := range m.Claims {
			switch got := claims[claim].(type) {
			case string:
				if got != want {
					return false
				}
			case []any:
				if !slices.Contains(got, any(want)) {
					return false
				}
			default:
				return false
			}
		}
		return true
	})
	if i < 0 {
		return JFrogIdentityMapping{}, false
	}
	return p.Mappings[i], true
}
