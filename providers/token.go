package providers

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Token is what registries accept, for a while.
type Token struct {
	// Logins are what the registries are shown: one, except where somebody else decides on the content.
	Logins []Login
	// IssuedAt is when the Broker got the token, by our clock.
	IssuedAt time.Time
	// ExpiresAt is when the token ends, by our clock, as the cloud itself says; Never for what has no end that we know of.
	ExpiresAt time.Time
	// RenewableAt is when the cloud begins to hand out another token: until then it repeats this one. Zero if it never does that.
	RenewableAt time.Time
	// ID names the token to a Revoker. It is no secret. Empty if the token cannot be revoked.
	ID string
	// Copied says that somebody else keeps the logins and that they were only read: to read them again costs no call to a cloud, and brings
	// the same until the source changes.
	Copied bool
	// Verified is how a trial of the token has ended; empty if none was asked for.
	Verified metav1.ConditionStatus
	// Unproven is why a trial has said nothing, for people.
	Unproven string
}

// TokenName tells a token that can be revoked from all others: an ID alone is what a server says, which a tenant may have chosen. Empty for a token
// that cannot be revoked.
type TokenName string

// NewTokenName names the token with this ID that was minted from the source.
func NewTokenName(source, id string) TokenName {
	if id == "" {
		return ""
	}
	return TokenName(source + "/" + id)
}

// Login is a username and a password, and where they are good.
type Login struct {
	Username string
	Password Sensitive
	// Hosts are the registry hosts, as they stand in an image reference.
	Hosts []string
}

// Never is the expiry of what does not expire. It is a time like any other, so that comparing needs no special case; and near enough
// for the difference to be a time.Duration.
var Never = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// Hosts are the registry hosts that the token is for.
func (t Token) Hosts() []string {
	if len(t.Logins) == 1 {
		return t.Logins[0].Hosts
	}
	var hosts []string
	for _, l := range t.Logins {
		hosts = append(hosts, l.Hosts...)
	}
	return hosts
}

// Sensitive is text that no format verb, encoder or logger writes out. Reveal it where it is put to use.
type Sensitive string

const redacted = "[redacted]"

// String hides the text.
func (Sensitive) String() string { return redacted }

// Format implements fmt.Formatter, so that it hides the text from every verb.
func (Sensitive) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, and hides the text from encoders.
func (Sensitive) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalLog implements logr.Marshaler.
func (Sensitive) MarshalLog() any { return redacted }

// Reveal returns the text itself.
func (s Sensitive) Reveal() string { return string(s) }
