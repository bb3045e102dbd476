package providers

import (
	"fmt"
	"time"
)

// Scope says whose fault an Error is, and so who has to wait because of it.
type Scope int

const (
	// ScopeRequest is what a tenant's input or rights decide. It concerns nobody else.
	ScopeRequest Scope = iota
	// ScopeEndpoint is the called endpoint's fault: no connection, no TLS, no answer in time, a server error, or its own throttling.
	ScopeEndpoint
	// ScopeKubernetes is the fault of this cluster's API server.
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

// PendingError is why there is no token yet, without anything having failed.
type PendingError struct {
	// Since is since when it is waited for.
	Since time.Time
	// RetryAfter is when to ask again, since nobody is woken: it is too early for another token. 0 if the caller is woken.
	RetryAfter time.Duration
}

func (*PendingError) Error() string { return "the token is being minted" }
