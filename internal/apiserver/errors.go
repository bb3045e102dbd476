// Package apiserver knows what the API server's answers mean, and how far a cache of it is behind.
package apiserver

import (
	"regexp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// WriteTimeout bounds a write. It is longer than the time that the API server gives a webhook by default, after which it names it.
const WriteTimeout = 12 * time.Second

// IsTerminating says that the namespace is being deleted under our hands, which is no error.
func IsTerminating(err error) bool {
	return err != nil && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// IgnoreTerminating is the error unless the namespace is being deleted.
func IgnoreTerminating(err error) error {
	if IsTerminating(err) {
		return nil
	}
	return err
}

// maxName is the length of the longest name. It is not in the patterns: a repetition that is counted takes memory for each time.
const maxName = 253

// refusers are how the API server names who has refused a request. Their own text follows, which others write: it is not told.
var refusers = []struct {
	what string
	name *regexp.Regexp
}{
	{"the quota ", regexp.MustCompile(`exceeded quota: ([a-z0-9][a-z0-9.-]*)[,:]`)},
	{"the admission webhook ", regexp.MustCompile(`admission webhook "([a-z0-9][a-z0-9.-]*)" denied`)},
	{"the admission webhook ", regexp.MustCompile(`failed calling webhook "([a-z0-9][a-z0-9.-]*)"`)},
	{"the admission policy ", policyRefused},
}

var policyRefused = regexp.MustCompile(`ValidatingAdmissionPolicy '([a-z0-9][a-z0-9.-]*)' with binding`)

// RefusedByPolicy says whether an admission policy has refused a request: it would refuse the same again.
func RefusedByPolicy(err error) bool { return err != nil && policyRefused.MatchString(err.Error()) }

// RefusedBy names the quota, the webhook or the policy that has refused a request; "" if none did.
func RefusedBy(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range refusers {
		if match := r.name.FindStringSubmatch(err.Error()); len(match) > 1 && len(match[1]) <= maxName {
			return r.what + match[1]
		}
	}
	return ""
}

// maxText is how much is told of a text of others.
const maxText = 64

var plainName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// Name is the name of an object, or of a kind, in a sentence. In owner references and annotations others write anything: what cannot be a name
// is cut and quoted.
func Name(name string) string {
	if len(name) <= maxName && plainName.MatchString(name) {
		return name
	}
	return quoted(name)
}

func quoted(text string) string { return strconv.QuoteToASCII(text[:min(len(text), maxText)]) }

// FieldManager names a field manager in a sentence; "" is one that is not known.
func FieldManager(name string) string {
	if name == "" {
		return "somebody else"
	}
	return "the field manager " + quoted(name)
}
