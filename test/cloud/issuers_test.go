package cloud

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/test/cloud/facts"
)

// clusterKey is the key that a cluster signs its ServiceAccounts' tokens with.
type clusterKey struct {
	*ecdsa.PrivateKey
	id string
}

func newClusterKey(t *testing.T, id string) clusterKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return clusterKey{key, id}
}

// keySet is the key as an API server serves it at /openid/v1/jwks.
func (k clusterKey) keySet(t *testing.T) []byte {
	t.Helper()
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"use":"sig","kty":"EC","kid":%q,"crv":"P-256","alg":"ES256","x":%q,"y":%q}]}`,
		k.id, encode(point[1:33]), encode(point[33:]))
}

func (k clusterKey) token(t *testing.T, issuer, audience string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer: issuer, Subject: subject, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	})
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// loginsWithTokens are the services that take a ServiceAccount token: each says whether it takes this one, made for its audience. They trust
// the subject, of whatever issuer where the service allows that.
var loginsWithTokens = map[string]struct {
	audience string
	start    func(t *testing.T) (internet *Internet, logIn func(token string) bool)
}{
	"AWS STS": {facts.STSAudience, func(t *testing.T) (*Internet, func(string) bool) {
		t.Helper()
		a := startAWS(t, Options{})
		addRole(t, a, Role{ARN: roleARN, WebIdentity: &WebIdentity{Subject: subject}})
		return a.Internet(), func(token string) bool {
			_, failed := a.assumeRoleWithWebIdentity(url.Values{"RoleArn": {roleARN}, "RoleSessionName": {"test"}, "WebIdentityToken": {token}})
			return failed == nil
		}
	}},
	"Google's STS": {"https://iam.googleapis.com/" + googlePool.Name, func(t *testing.T) (*Internet, func(string) bool) {
		t.Helper()
		g := startGoogle(t, GoogleOptions{})
		g.AddIdentityProvider(googlePool)
		return g.Internet(), func(token string) bool { return googleExchange(t, g, token, nil).status == http.StatusOK }
	}},
	"Entra": {facts.AzureClouds[0].Audience, func(t *testing.T) (*Internet, func(string) bool) {
		t.Helper()
		a := azureStart(t, AzureOptions{})
		app := AzureApplication{ClientID: azureApp, Federated: []AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: facts.AzureClouds[0].Audience}}}
		return a.Internet(), func(token string) bool { return a.checkAssertion(app, token, azureTokenURL) == nil }
	}},
	"an AKS cluster": {facts.AKSIdentityBindingAudience, func(t *testing.T) (*Internet, func(string) bool) {
		t.Helper()
		a := azureStart(t, AzureOptions{})
		return a.Internet(), func(token string) bool {
			form := url.Values{
				"grant_type": {"client_credentials"}, "client_assertion_type": {azureAssertionType}, "client_assertion": {token},
				"scope": {facts.AzureRegistryScope}, "client_id": {azureApp},
			}
			answer := httptest.NewRecorder()
			a.IdentityBindings(azureApp, subject).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode())))
			return answer.Code == http.StatusOK
		}
	}},
	"JFrog": {"jfrog", func(t *testing.T) (*Internet, func(string) bool) {
		t.Helper()
		j := startJFrog(t, JFrogOptions{})
		j.AddProvider(JFrogProvider{Name: "cluster", Issuer: issuer, Mappings: []JFrogIdentityMapping{
			{Name: "any", Claims: map[string]string{"sub": subject}, Username: "puller"},
		}})
		return j.Internet(), func(token string) bool {
			return postJFrog(t, j, jfrogExchangePath, "", map[string]any{
				"grant_type": jfrogExchangeGrant, "subject_token_type": jfrogIDToken, "subject_token": token, "provider_name": "cluster",
			}).status == http.StatusOK
		}
	}},
}

func TestNoServiceTakesATokenOfAnotherCluster(t *testing.T) {
	ours, theirs := newClusterKey(t, "ours"), newClusterKey(t, "theirs")
	forger := newClusterKey(t, "ours") // it names our key, and has not got it
	for name, login := range loginsWithTokens {
		t.Run(name, func(t *testing.T) {
			internet, takes := login.start(t)
			unsigned := identityToken(t, issuer, subject, login.audience, time.Hour)
			if !takes(unsigned) {
				t.Error("without known keys, the token that tests make is refused")
			}
			for of, key := range map[string]clusterKey{issuer: ours, "https://another.example": theirs} {
				if err := internet.PublishKeys(of, key.keySet(t)); err != nil {
					t.Fatal(err)
				}
			}
			if !takes(ours.token(t, issuer, login.audience)) {
				t.Error("the cluster's own token is refused")
			}
			for whose, token := range map[string]string{
				"nobody's":                           unsigned,
				"a forger's":                         forger.token(t, issuer, login.audience),
				"another cluster's in our name":      theirs.token(t, issuer, login.audience),
				"an unknown cluster's":               ours.token(t, "https://unknown.example", login.audience),
				"a known cluster's of another key":   ours.token(t, "https://another.example", login.audience),
				"without a signature":                strings.Join(append(strings.Split(ours.token(t, issuer, login.audience), ".")[:2], ""), "."),
				"of an algorithm that needs no keys": noneToken(t, login.audience),
			} {
				if takes(token) {
					t.Errorf("a token that is %s is taken", whose)
				}
			}
		})
	}
}

func noneToken(t *testing.T, audience string) string {
	t.Helper()
	claims := jwt.RegisteredClaims{Issuer: issuer, Subject: subject, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	token, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestKeysThatCannotBeReadAreNotPublished(t *testing.T) {
	internet, err := StartInternet()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	for _, set := range []string{
		"", `{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kid":"a","crv":"P-256","x":"!","y":"AQAB"}]}`,
		`{"keys":[{"kid":"a","crv":"P-256","x":"AQAB","y":"AQAB"}]}`,
	} {
		if err := internet.PublishKeys(issuer, []byte(set)); err == nil {
			t.Errorf("%q is taken", set)
		}
	}
}
