package cloud

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const azureAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticateApplication checks who the client says it is: by a secret, or by an assertion, which is the application's own if a
// certificate has signed it, and somebody's whom it trusts otherwise.
func (a *Azure) authenticateApplication(app AzureApplication, form url.Values, endpoint string) *failure {
	switch secret, assertion := form.Get("client_secret"), form.Get("client_assertion"); {
	case assertion != "" && form.Get("client_assertion_type") != azureAssertionType:
		return &failure{status: http.StatusBadRequest, code: "AADSTS90014", message: "The required field 'client_assertion_type' is missing or wrong."}
	case assertion != "":
		return a.checkAssertion(app, assertion, endpoint)
	case secret == "":
		return &failure{status: http.StatusUnauthorized, code: "AADSTS7000216",
			message: "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."}
	case app.Secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(app.Secret)) == 0:
		return &failure{status: http.StatusUnauthorized, code: "AADSTS7000215", message: fmt.Sprintf("Invalid client secret provided. Ensure the secret being "+
			"sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", app.ClientID)}
	}
	return nil
}

func (a *Azure) checkAssertion(app AzureApplication, assertion, endpoint string) *failure {
	claims := jwt.RegisteredClaims{}
	token, _, err := jwt.NewParser().ParseUnverified(assertion, &claims)
	if err != nil {
		return &failure{status: http.StatusBadRequest, code: "AADSTS50027", message: "JWT token is invalid or malformed."}
	}
	// Who stamps an assertion does not know the injected clock.
	if now := a.clock.wall(); claims.ExpiresAt == nil || !now.Before(claims.ExpiresAt.Time) {
		return &failure{status: http.StatusUnauthorized, code: "AADSTS700024",
			message: fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s.", now.UTC())}
	}
	if thumbprint, own := token.Header["x5t#S256"].(string); own {
		return a.checkOwnAssertion(app, assertion, thumbprint, endpoint)
	}
	if err := a.internet.parseIdentityToken(assertion, &jwt.RegisteredClaims{}); err != nil {
		return &failure{status: http.StatusUnauthorized, code: "AADSTS700027", message: "Client assertion failed signature validation."}
	}
	return checkFederated(app.Federated, claims)
}

// checkFederated says the first thing that no credential matches, in the order in which Entra looks.
func checkFederated(credentials []AzureFederatedCredential, claims jwt.RegisteredClaims) *failure {
	refuse := func(code, what, value string) *failure {
		return &failure{status: http.StatusUnauthorized, code: code,
			message: fmt.Sprintf("No matching federated identity record found for presented assertion %s '%s'.", what, value)}
	}
	matching := slices.DeleteFunc(slices.Clone(credentials), func(c AzureFederatedCredential) bool { return c.Issuer != claims.Issuer })
	if len(matching) == 0 {
		return refuse("AADSTS700211", "issuer", claims.Issuer)
	}
	matching = slices.DeleteFunc(matching, func(c AzureFederatedCredential) bool { return c.Subject != claims.Subject })
	if len(matching) == 0 {
		return refuse("AADSTS700213", "subject", claims.Subject)
	}
	if !slices.ContainsFunc(matching, func(c AzureFederatedCredential) bool { return slices.Contains(claims.Audience, c.Audience) }) {
		return refuse("AADSTS700212", "audience", fmt.Sprint(claims.Audience))
	}
	return nil
}

// checkOwnAssertion follows "Microsoft identity platform application authentication certificate credentials".
func (a *Azure) checkOwnAssertion(app AzureApplication, assertion, thumbprint, endpoint string) *failure {
	refused := &failure{status: http.StatusUnauthorized, code: "AADSTS700027",
		message: "Client assertion failed signature validation: the certificate with identifier used to sign it is not registered on application."}
	if app.Certificate == nil {
		return refused
	}
	sum := sha256.Sum256(app.Certificate.Raw)
	key, ok := app.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok || thumbprint != base64.StdEncoding.EncodeToString(sum[:]) && thumbprint != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return refused
	}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"PS256", "RS256"}), jwt.WithAudience(endpoint), jwt.WithIssuer(app.ClientID),
		jwt.WithSubject(app.ClientID), jwt.WithTimeFunc(a.clock.wall)).Parse(assertion, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil {
		return refused
	}
	return nil
}
