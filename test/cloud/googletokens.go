package cloud

import (
	"crypto/sha256"
	"sync"
	"time"
)

// GoogleToken records an access token, without its secret.
type GoogleToken struct {
	// Member is whose it is, Scope what it is for.
	Member, Scope       string
	IssuedAt, ExpiresAt time.Time
	Revoked             bool
}

func (t GoogleToken) live(now time.Time) bool { return !t.Revoked && now.Before(t.ExpiresAt) }

// googleTokens keeps the hash of each token only.
type googleTokens struct {
	mu     sync.Mutex
	issued map[[sha256.Size]byte]*GoogleToken
	order  []*GoogleToken
}

func newGoogleTokens() *googleTokens {
	return &googleTokens{issued: map[[sha256.Size]byte]*GoogleToken{}}
}

func (t *googleTokens) mint(member, scope string, now time.Time, life time.Duration) (value string, token GoogleToken) {
	value = newSecret(CanaryGoogle, 192)
	// The wire format has whole seconds; the token must not live by a finer truth.
	issued := &GoogleToken{Member: member, Scope: scope, IssuedAt: now, ExpiresAt: now.Add(life.Truncate(time.Second))}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.issued[sha256.Sum256([]byte(value))] = issued
	t.order = append(t.order, issued)
	return value, *issued
}

func (t *googleTokens) find(value string) (GoogleToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	issued, ok := t.issued[sha256.Sum256([]byte(value))]
	if !ok {
		return GoogleToken{}, false
	}
	return *issued, true
}

// Tokens lists the access tokens ever issued, oldest first.
func (g *Google) Tokens() []GoogleToken {
	g.tokens.mu.Lock()
	defer g.tokens.mu.Unlock()
	all := make([]GoogleToken, 0, len(g.tokens.order))
	for _, issued := range g.tokens.order {
		all = append(all, *issued)
	}
	return all
}

// IsLive reports whether the registries take this password.
func (g *Google) IsLive(password string) bool {
	token, ok := g.tokens.find(password)
	return ok && token.live(g.clock.now())
}

// Revoke ends a token before its time, and reports whether there was such a token.
func (g *Google) Revoke(password string) bool {
	g.tokens.mu.Lock()
	defer g.tokens.mu.Unlock()
	issued, ok := g.tokens.issued[sha256.Sum256([]byte(password))]
	if ok {
		issued.Revoked = true
	}
	return ok
}

// ExpireAll ends every token issued so far.
func (g *Google) ExpireAll() {
	g.tokens.mu.Lock()
	defer g.tokens.mu.Unlock()
	for _, issued := range g.tokens.order {
		issued.Revoked = true
	}
}
