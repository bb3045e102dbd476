// Package providers turns a registry entry and an identity into a token for that registry.
//
// A provider has one method and no Kubernetes client. The Broker stands between the providers and those who need tokens:
// it makes at most one call per distinct request and remembers what it got.
package providers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Provider mints tokens for one kind of registry.
type Provider interface {
	// Token asks the cloud for a new token. It gives up when ctx ends, and its errors are of type *Error.
	// It keeps no token: remembering is the Broker's part.
	Token(ctx context.Context, req Request) (Token, error)
}

// Revoker is a Provider that can end a token before its time.
type Revoker interface {
	// Revoke ends the token with this ID, which the request, or one of the same identity, has brought. A token that is gone already is
	// no error.
	Revoke(ctx context.Context, req Request, id string) error
}

// Endpointer is a Provider that knows where its calls go.
type Endpointer interface {
	// Endpoint names what the call of the request is limited, and given a rest, as one with: the host that it really asks.
	Endpoint(req Request) string
}

// Annotated is a Provider that reads annotations of the ServiceAccounts that it acts as.
type Annotated interface {
	// Annotations are the keys that it reads. No other is part of a source.
	Annotations() []string
}

// AudienceLister is a Provider that asks for tokens of ServiceAccounts with audiences that belong to its cloud.
type AudienceLister interface {
	// Audiences are anchored regular expressions (RE2) of those audiences. The admission policy for tokens is generated from them.
	Audiences() []string
}

// Curer is a Provider that knows how its users allow a pull.
type Curer interface {
	// Cure is what to do when a token may not pull, as an imperative without a full stop.
	Cure() string
}

// Request is everything that a token depends on. Its exported fields are its identity: two requests with equal fields may
// share a token, two with any difference never do.
type Request struct {
	// Registry is the whole entry; its union member that is set decides on the provider.
	Registry v1alpha1.Registry `json:"registry"`
	// Identity is who asks.
	Identity Identity `json:"identity"`
	// RefreshRequestedAt is the credential's refresh request, so that a new one misses every remembered token.
	RefreshRequestedAt string `json:"refreshRequestedAt,omitempty"`
	// RefusedAt is when a registry refused the token of this source, so that what was minted before is remembered no longer.
	RefusedAt string `json:"refusedAt,omitempty"`
}

// Key identifies the request. It is a hash, so it can be kept where the request itself should not be. The entry's name is no part of
// it: what differs in name alone shares a token.
func (r Request) Key() string {
	r.Registry.Name = ""
	raw, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a request of plain fields does not marshal: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// Endpoint names where the call of the request goes: what is limited, and given a rest, as one.
func (r Request) Endpoint() string {
	provider, endpoint := r.Registry.Provider()
	return strings.TrimSuffix(provider+"/"+endpoint, "/")
}

// Source identifies what the token is made from: the request without what only asks for a new one. It is written beside the token,
// so that a change of the entry or of its identity is noticed after a restart too.
func (r Request) Source() string {
	r.RefreshRequestedAt, r.RefusedAt = "", ""
	return r.Key()
}

// Identity is who asks the cloud. With no member set it is the controller's own (ambient) identity.
type Identity struct {
	ServiceAccount *ServiceAccount `json:"serviceAccount,omitempty"`
	Secret         *Secret         `json:"secret,omitempty"`
}

// ServiceAccount is a Kubernetes ServiceAccount as an identity.
type ServiceAccount struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// Annotations are all that a provider may look at: not those of links, nor what kubectl notes.
	Annotations map[string]string `json:"annotations,omitempty"`

	// RequestToken asks Kubernetes for a token of this ServiceAccount, for one audience and a lifetime of at least 10 minutes.
	RequestToken func(ctx context.Context, audience string, lifetime time.Duration) (string, error) `json:"-"`
}

func (s *ServiceAccount) String() string { return "ServiceAccount " + s.Namespace + "/" + s.Name }

// Secret is a Kubernetes Secret as an identity. Its content is not held: UID and resource version stand for it.
type Secret struct {
	Namespace       string    `json:"namespace"`
	Name            string    `json:"name"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`

	// Data reads the Secret's content.
	Data func(ctx context.Context) (map[string][]byte, error) `json:"-"`
}

func (s *Secret) String() string { return "Secret " + s.Namespace + "/" + s.Name }

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
	// Verified is how a trial of the token has ended; empty if none was asked for.
	Verified metav1.ConditionStatus
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

// RefreshAt is when the token is due to be replaced: at half of its life. Half is what the kubelet's own ECR provider uses;
// it leaves the other half to outlast an outage of the cloud. A token that the cloud still repeats then is due when it no longer does.
func (t Token) RefreshAt() time.Time {
	half := t.IssuedAt.Add(t.ExpiresAt.Sub(t.IssuedAt) / 2)
	if t.RenewableAt.After(half) {
		return t.RenewableAt
	}
	return half
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

// Scope says whose fault an Error is, and so who has to wait because of it.
type Scope int

const (
	// ScopeRequest is what a tenant's input or rights decide. It concerns nobody else.
	ScopeRequest Scope = iota
	// ScopeEndpoint is that of whom was called: no connection, no TLS, no answer in time, a server error, or its own throttling.
	ScopeEndpoint
	// ScopeKubernetes is that of the API server of this cluster.
	ScopeKubernetes
)

// Error is why a provider has no token. Its text names the cause and what helps, and never holds a token, a response body or a
// URL query: it ends up in status, events and logs.
type Error struct {
	// Reason is one of the reasons of package v1alpha1.
	Reason string
	// Scope is whose fault it is.
	Scope Scope
	// RetryAfter is how long the cloud asks to be left alone; 0 when it does not say.
	RetryAfter time.Duration
	// Terminal means that only a change of the spec can help. 401 and 403 are not terminal: a policy can be mended elsewhere.
	Terminal bool
	// Err is the cause and the cure in words.
	Err error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a reason. It does not wrap: an SDK's error text may hold what must not be shown.
func Errorf(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}
