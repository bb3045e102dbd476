// Package providers turns a registry entry and an identity into a token for that registry.
//
// A provider has one method and no Kubernetes client. What is here is the seam between the providers and those who need tokens.
package providers

import (
	"context"
	"time"

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

// Slow is a Provider whose calls may take longer than others.
type Slow interface {
	// CallTimeout is how long a call may take with all that it does.
	CallTimeout() time.Duration
}

// Limited is a Provider that can work on few calls at once.
type Limited interface {
	// AtOnce is how many calls to one of its endpoints may be under way.
	AtOnce() int
}

// HostLister is a Provider that knows registry hosts before it has a token.
type HostLister interface {
	// Hosts are those that a token of the entry is for, as far as the entry itself says so; none if only a token can tell.
	Hosts(entry *v1alpha1.Registry) []string
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
