package credential

import (
	"errors"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/apiserver"
	"github.com/regcred/regcred/providers"
)

// RetryAfter is when a target that no event will bring back is looked at again.
const RetryAfter = 2 * time.Minute

// Failure is a reason of package v1alpha1 and what to do about it.
type Failure struct {
	Reason   string
	Message  string
	Terminal bool
	// RetryAfter is when it is tried again; 0 if no time brings the target back, but an event does, or a change of the spec.
	RetryAfter time.Duration
}

// FailureOf is what an error of a provider, or of the API server, means to the user.
func FailureOf(err error) *Failure {
	known, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return &Failure{Reason: v1alpha1.ReasonInternal, RetryAfter: RetryAfter,
			Message: "the API server returned an error or did not answer; it is tried again"}
	}
	f := &Failure{Reason: known.Reason, Message: known.Error(), Terminal: known.Terminal, RetryAfter: known.RetryAfter}
	if f.RetryAfter == 0 && !f.Terminal {
		f.RetryAfter = RetryAfter
	}
	return f
}

// Excluded is the failure of a credential whose namespace is not served.
func Excluded(namespace string) *Failure {
	return &Failure{Reason: v1alpha1.ReasonNamespaceExcluded, Terminal: true,
		Message: "namespace " + namespace + " is excluded by the administrator (--excluded-namespaces): use another namespace"}
}

// Unanswered is the failure of a request that the API server could not serve.
func Unanswered(what string, err error) *Failure {
	f := FailureOf(err)
	if by := apiserver.RefusedBy(err); by != "" {
		f.Message = what + " fails because of " + by + ": it is tried again"
	} else {
		f.Message = what + " fails: the API server returned an error or did not answer; it is tried again"
	}
	return f
}

// MaxText is what the API server takes for the note of an event, and what our schema allows for a message in status.
const MaxText = 1024

// Truncate shortens a text for an event or a status.
func Truncate(s string) string {
	if len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText-len("…")], "") + "…"
}
