// Package audit looks over the pull Secrets of a cluster, or of manifests, and over who uses them.
package audit

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities, the least first. Never is for those who want no exit code of them.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
	Never   Severity = "never"
)

var severities = []Severity{Info, Warning, Error, Never}

func (s Severity) rank() int { return slices.Index(severities, s) }

// String implements pflag.Value.
func (s *Severity) String() string { return string(*s) }

// Set implements pflag.Value.
func (s *Severity) Set(text string) error {
	if !slices.Contains(severities, Severity(text)) {
		return fmt.Errorf("must be one of info, warning, error, never")
	}
	*s = Severity(text)
	return nil
}

// Type implements pflag.Value.
func (s *Severity) Type() string { return "severity" }

// Code is a kind of finding. Its name, meaning and severity stay what they are.
type Code struct {
	ID, Name string
	Severity Severity
	// Says is what it means, in a sentence without a full stop.
	Says string
}

// The codes. Each has its part of docs/audit-codes.md.
var (
	LoginExpired      = Code{"RC101", "LoginExpired", Error, "a login in a pull Secret has expired"}
	LoginExpiring     = Code{"RC102", "LoginExpiring", Warning, "a login in a pull Secret expires soon, and no credential keeps the Secret"}
	TokenUnattended   = Code{"RC103", "TokenUnattended", Warning, "a pull Secret holds a cloud's short-lived token, and no credential keeps the Secret"}
	LinkDangling      = Code{"RC201", "LinkDangling", Warning, "a ServiceAccount names a pull Secret that does not exist"}
	SecretMissing     = Code{"RC202", "SecretMissing", Error, "a workload names a pull Secret that does not exist"}
	SecretMalformed   = Code{"RC301", "SecretMalformed", Error, "a pull Secret cannot be parsed: a kubelet then reads none of the pod's Secrets"}
	SecretEmpty       = Code{"RC302", "SecretEmpty", Warning, "a pull Secret holds no login"}
	SecretOfWrongType = Code{"RC303", "SecretOfWrongType", Error, "a Secret that is named as a pull Secret is of a type that kubelets do not read"}
	LoginsDiffer      = Code{"RC304", "LoginsDiffer", Warning, "a pull Secret, or those of one list, have different logins for the same registry"}
	LinkWide          = Code{"RC401", "LinkWide", Info, "the ServiceAccount default has a pull Secret for a registry that no pod of the namespace pulls from"}
	ImageUncovered    = Code{"RC501", "ImageUncovered", Warning, "no pull Secret of a pod covers the private registry of its image"}
	RenewedByCronJob  = Code{"RC601", "RenewedByCronJob", Warning, "a CronJob renews pull Secrets by itself"}
)

// Codes are all codes in order.
var Codes = []Code{
	LoginExpired, LoginExpiring, TokenUnattended, LinkDangling, SecretMissing, SecretMalformed, SecretEmpty, SecretOfWrongType, LoginsDiffer, LinkWide,
	ImageUncovered, RenewedByCronJob,
}

// Docs is the page of the code.
func (c Code) Docs() string {
	return "https://github.com/regcred/regcred/blob/main/docs/audit-codes.md#" + strings.ToLower(c.ID)
}

// Finding is one thing that somebody should look at.
type Finding struct {
	Code      string   `json:"code"`
	Title     string   `json:"title"`
	Severity  Severity `json:"severity"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	Registry  string   `json:"registry,omitempty"`
	// Message says what is found, and what helps.
	Message string `json:"message"`
	Docs    string `json:"docs"`
}

// Fingerprint is what makes a finding the same tomorrow.
func (f *Finding) Fingerprint() string {
	return strings.Join([]string{f.Code, f.Kind, f.Namespace, f.Name, f.Registry}, "|")
}

// Where is the object of the finding.
func (f *Finding) Where() string {
	name := strings.ToLower(f.Kind) + "/" + f.Name
	if f.Namespace != "" {
		name += " -n " + f.Namespace
	}
	return name
}
