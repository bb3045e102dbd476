package cloud

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// AzureToken records a refresh token of a registry, without its secret.
type AzureToken struct {
	// Registry is the login server, ClientID the principal.
	Registry, ClientID  string
	IssuedAt, ExpiresAt time.Time
	// Revoked is set by ExpireAll.
	Revoked bool
}

type azureTokens struct {
	mu     sync.Mutex
	issued map[[sha256.Size]byte]*AzureToken
	order  []*AzureToken
}

func newAzureTokens() *azureTokens { return &azureTokens{issued: map[[sha256.Size]byte]*AzureToken{}} }

// acrClaims are those of a registry's refresh token.
type acrClaims struct {
	jwt.RegisteredClaims
	Version   string `json:"version"`
	GrantType string `json:"grant_type"`
	AppID     string `json:"appid"`
	Tenant    string `json:"tenant"`
}

// issueRefreshToken makes a refresh token, which the registry takes exactly as long as its exp says.
func (a *Azure) issueRefreshToken(registry AzureRegistry, clientID, tenant string) string {
	now := a.clock.now()
	record := &AzureToken{Registry: registry.Host, ClientID: clientID, IssuedAt: now, ExpiresAt: now.Add(time.Duration(a.tokenLife.Load())).Truncate(time.Second)}
	token := azureSign(a.acrKey, acrClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: newSecret(CanaryACR, 16), Issuer: "Azure Container Registry", Audience: jwt.ClaimStrings{registry.Host}, Subject: clientID,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(record.ExpiresAt),
		},
		Version: "1.0", GrantType: "refresh_token", AppID: clientID, Tenant: tenant,
	})
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	a.tokens.issued[sha256.Sum256([]byte(token))] = record
	a.tokens.order = append(a.tokens.order, record)
	return token
}

// liveToken finds a refresh token that the registry takes.
func (a *Azure) liveToken(token string) (AzureToken, bool) {
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	record, ok := a.tokens.issued[sha256.Sum256([]byte(token))]
	if !ok || record.Revoked || !a.clock.now().Before(record.ExpiresAt) {
		return AzureToken{}, false
	}
	return *record, true
}

// Tokens lists the refresh tokens ever issued, oldest first.
func (a *Azure) Tokens() []AzureToken {
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	all := make([]AzureToken, 0, len(a.tokens.order))
	for _, record := range a.tokens.order {
		all = append(all, *record)
	}
	return all
}

// IsLive reports whether a registry takes this password.
func (a *Azure) IsLive(password string) bool {
	_, ok := a.liveToken(password)
	return ok
}

// ExpireAll makes the registries refuse every refresh token issued so far. Azure itself cannot.
func (a *Azure) ExpireAll() {
	a.tokens.mu.Lock()
	defer a.tokens.mu.Unlock()
	for _, record := range a.tokens.order {
		record.Revoked = true
	}
}
