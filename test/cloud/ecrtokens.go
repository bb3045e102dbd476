package cloud

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Token records a registry token, without its secret.
type Token struct {
	Principal, Region   string
	IssuedAt, ExpiresAt time.Time
	// Revoked is set by Revoke and ExpireAll: the registry then takes the token for an expired one.
	Revoked bool
}

func (t Token) live(now time.Time) bool { return !t.Revoked && now.Before(t.ExpiresAt) }

type issuedToken struct {
	Token
	identity string // whose permissions count at the moment of the pull, not of the issue
}

// tokens keeps the hash of each password only: a benchmark mints tens of thousands of them, at 2 kB each.
type tokens struct {
	canary string

	mu     sync.Mutex
	issued map[[sha256.Size]byte]*issuedToken
	order  []*issuedToken
}

func newTokens(canary string) *tokens {
	return &tokens{canary: canary, issued: map[[sha256.Size]byte]*issuedToken{}}
}

// mint issues a token for every registry of a region. Its life does not depend on the life of the session that asked: CronJobs with
// one-hour sessions of a ServiceAccount's role have used their tokens for 8 to 12 h for years.
func (t *tokens) mint(who caller, region string, now time.Time, life time.Duration) (password string, token Token) {
	password = newSecret(t.canary, ecrPasswordBytes)
	issued := &issuedToken{
		identity: who.identity,
		Token: Token{
			Principal: who.arn,
			Region:    region,
			IssuedAt:  now,
			// The API says milliseconds; the registry must not live by a finer truth.
			ExpiresAt: now.Add(life).Truncate(time.Millisecond),
		},
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.issued[sha256.Sum256([]byte(password))] = issued
	t.order = append(t.order, issued)
	return password, issued.Token
}

func (t *tokens) find(password string) (issuedToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	issued, ok := t.issued[sha256.Sum256([]byte(password))]
	if !ok {
		return issuedToken{}, false
	}
	return *issued, true
}

func (t *tokens) all() []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Token, 0, len(t.order))
	for _, issued := range t.order {
		all = append(all, issued.Token)
	}
	return all
}

func (t *tokens) live(now time.Time) int {
	n := 0
	for _, token := range t.all() {
		if token.live(now) {
			n++
		}
	}
	return n
}

func (t *tokens) revoke(password string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	issued, ok := t.issued[sha256.Sum256([]byte(password))]
	if ok {
		issued.Revoked = true
	}
	return ok
}

func (t *tokens) revokeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, issued := range t.order {
		issued.Revoked = true
	}
}
