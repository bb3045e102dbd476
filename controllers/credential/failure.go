package credential

import (
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// RetryAfter is when a target that no event will bring back is looked at again.
const RetryAfter = 2 * time.Minute

// ExpectFor is how long the cache is trusted to show our own write; it bounds the harm of a watch that missed one.
const ExpectFor = 5 * time.Second

// Failure is a reason of package v1alpha1 and what to do about it.
type Failure struct {
	Reason   string
	Message  string
	Terminal bool
	// RetryAfter is when it is tried again; 0 when an event brings the target back, or never.
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

// Excluded is the failure of a credential in a namespace that is not served.
func Excluded(namespace string) *Failure {
	return &Failure{Reason: v1alpha1.ReasonNamespaceExcluded, Terminal: true,
		Message: "namespace " + namespace + " is excluded by the administrator (--excluded-namespaces): use another namespace"}
}

// IsTerminating says that the namespace is being deleted under our hands, which is no error.
func IsTerminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// IgnoreTerminating is the error unless the namespace is being deleted.
func IgnoreTerminating(err error) error {
	if IsTerminating(err) {
		return nil
	}
	return err
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
