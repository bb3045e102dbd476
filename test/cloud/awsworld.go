package cloud

import v1 "github.com/google/go-containerregistry/pkg/v1"

// AddUser adds a user or replaces the one with the same ARN.
func (a *AWS) AddUser(u User) { a.iam.addUser(u) }

// AddRole adds a role or replaces the one with the same ARN.
func (a *AWS) AddRole(r Role) error { return a.iam.addRole(r) }

// SetPermissions replaces what the user or role of this ARN may do, for its live sessions and tokens too. In ECR Public that is nothing.
func (a *AWS) SetPermissions(arn string, mayGetToken bool, pull ...string) error {
	return a.iam.setPermissions(arn, permissions{mayGetToken: mayGetToken, pull: pull})
}

// Remove deletes the user or role of this ARN and invalidates its access keys and sessions.
func (a *AWS) Remove(arn string) { a.iam.remove(arn) }

// SeedImage stores a tiny image in the registry of host and returns its digest.
func (a *AWS) SeedImage(host, repository, tag string) (digest string, err error) {
	if isECRPublicHost(host) {
		return a.publicRegistry.seed(host, repository, tag)
	}
	return a.registry.seed(host, repository, tag)
}

// StoreImage stores an image in the registry of host and returns its digest.
func (a *AWS) StoreImage(host, repository, tag string, image v1.Image) (digest string, err error) {
	return a.registry.storeImage(host, repository, tag, image)
}

// Calls counts what was called since the start or the last ResetCalls.
func (a *AWS) Calls() Calls { return a.calls.snapshot() }

// ResetCalls sets all counters to zero.
func (a *AWS) ResetCalls() { a.calls.reset() }

// Log is every call for a token of ECR since the start, whatever came of it. A call that hangs is in it when it ends.
func (a *AWS) Log() []Call { return a.log.all() }

// Refused is every request to a registry since the start that came with a token which had expired or was revoked.
func (a *AWS) Refused() []Refusal { return a.refused.list() }

// Token is what the registry knows of a password.
func (a *AWS) Token(password string) (Token, bool) {
	issued, ok := a.tokens.find(password)
	return issued.Token, ok
}

// Tokens lists the registry tokens ever issued, oldest first.
func (a *AWS) Tokens() []Token { return a.tokens.all() }

// LiveTokens counts the registry tokens that have not expired.
func (a *AWS) LiveTokens() int { return a.tokens.live(a.clock.now()) }

// IsLive reports whether the registry takes this password.
func (a *AWS) IsLive(password string) bool {
	token, ok := a.tokens.find(password)
	return ok && token.live(a.clock.now())
}

// Revoke makes the registry refuse a token as if it had expired, and reports whether there was such a token. AWS itself cannot.
func (a *AWS) Revoke(password string) bool { return a.tokens.revoke(password) }

// ExpireAll revokes every token issued so far.
func (a *AWS) ExpireAll() { a.tokens.revokeAll() }
