package cloud

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// CanaryJFrog is in a claim of every token of a JFrog platform.
const CanaryJFrog = canaryPrefix + "jfrog-"

// jfrogService is the ID of the platform's service Access.
const jfrogService = "jfac@01hx0000000000000000000000"

// JFrogToken records a token, without its secret.
type JFrogToken struct {
	ID                                       string
	Username, Scope, ProjectKey, Description string
	ExpiresAt                                time.Time
	Revoked                                  bool

	// stored is whether the token lives for long enough to be remembered.
	stored bool
}

func (t JFrogToken) live(now time.Time) bool { return !t.Revoked && now.Before(t.ExpiresAt) }

// jfrogTokens keeps the hash of each token only, as the registries of the other clouds do.
type jfrogTokens struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]*JFrogToken
	order  []*JFrogToken
}

func newJFrogTokens() *jfrogTokens { return &jfrogTokens{byHash: map[[sha256.Size]byte]*JFrogToken{}} }

// mint issues a token in the form of JFrog's: a JWT whose subject names the user, and whose ID is the token's. Its signature proves
// nothing, as nobody but the platform looks at it, and the platform knows its tokens.
func (t *jfrogTokens) mint(token JFrogToken) (password string, issued JFrogToken) {
	token.ID = newRequestID()
	claims := jwt.MapClaims{
		"sub": jfrogService + "/users/" + token.Username, "scp": token.Scope, "aud": "*@*", "iss": jfrogService,
		"jti": token.ID, "exp": token.ExpiresAt.Unix(), "ext": newSecret(CanaryJFrog, 32),
	}
	password, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(randomData(32))
	if err != nil {
		panic(fmt.Sprintf("plain claims do not sign: %v", err))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byHash[sha256.Sum256([]byte(password))] = &token
	t.order = append(t.order, &token)
	return password, token
}

func (t *jfrogTokens) find(password string) (JFrogToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, ok := t.byHash[sha256.Sum256([]byte(password))]
	if !ok {
		return JFrogToken{}, false
	}
	return *token, true
}

// stored finds a token by its ID, if it is remembered and not revoked.
func (t *jfrogTokens) stored(id string) (JFrogToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.order, func(token *JFrogToken) bool { return token.ID == id && token.stored && !token.Revoked })
	if i < 0 {
		return JFrogToken{}, false
	}
	return *t.order[i], true
}

func (t *jfrogTokens) revoke(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, token := range t.order {
		if token.ID == id {
			token.Revoked = true
			return true
		}
	}
	return false
}

func (t *jfrogTokens) all() []JFrogToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]JFrogToken, 0, len(t.order))
	for _, token := range t.order {
		all = append(all, *token)
	}
	return all
}
