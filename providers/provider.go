// Package providers turns a registry entry and an identity into a token for that registry.
//
// A provider has one method and no Kubernetes client. What is here is the seam between the providers and those who need tokens.
package providers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

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

// Revoke ends a token of p, if p can do that.
func Revoke(ctx context.Context, p Provider, req Request, id string) error {
	if r, ok := p.(Revoker); ok {
		return r.Revoke(ctx, req, id)
	}
	return Errorf(v1alpha1.ReasonInvalidRequest, "tokens of this provider cannot be revoked")
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
