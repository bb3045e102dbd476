package cloud

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Codes of calls that got no answer; every other code is the service's own.
const (
	CodeClosed    = "(closed)"
	CodeHung      = "(hung)"
	CodeAbandoned = "(abandoned)"
)

// The registry's actions, in the notation of the cloud's: service, colon, operation.
const (
	ActionGetManifest  = "registry:GetManifest"
	ActionHeadManifest = "registry:HeadManifest"
	ActionGetBlob      = "registry:GetBlob"
	ActionListTags     = "registry:ListTags"
	ActionPing         = "registry:Ping"
	ActionPush         = "registry:Push"
)

// Outcome is an API action, such as "ecr:GetAuthorizationToken", with the error code of its answer, empty for success.
type Outcome struct {
	Action, Code string
}

// Calls counts what was called, failed calls included. For the registry, success means that the token was accepted.
type Calls map[Outcome]int

// Of counts the calls of an action, whatever came of them.
func (c Calls) Of(action string) int {
	return c.sum(func(o Outcome) bool { return o.Action == action })
}

// Succeeded counts the calls of an action that were answered without an error.
func (c Calls) Succeeded(action string) int { return c[Outcome{Action: action}] }

// Failed counts the calls of an action that were not.
func (c Calls) Failed(action string) int { return c.Of(action) - c.Succeeded(action) }

// WithCode counts the calls of an action that got this error code.
func (c Calls) WithCode(action, code string) int { return c[Outcome{Action: action, Code: code}] }

// PullsAccepted counts the manifests that a token was allowed to get.
func (c Calls) PullsAccepted() int { return c.Succeeded(ActionGetManifest) }

// PullsRefused counts the requests for a manifest that were refused for the sake of the token, a missing one included. A client that
// asks without a token first, as containerd does, adds one for that.
func (c Calls) PullsRefused() int {
	return c.sum(func(o Outcome) bool {
		manifest := o.Action == ActionGetManifest || o.Action == ActionHeadManifest
		return manifest && (o.Code == codeUnauthorized || o.Code == codeDenied)
	})
}

func (c Calls) sum(match func(Outcome) bool) int {
	n := 0
	for outcome, count := range c {
		if match(outcome) {
			n += count
		}
	}
	return n
}

type callCounter struct {
	mu    sync.Mutex
	calls Calls
}

func newCallCounter() *callCounter { return &callCounter{calls: Calls{}} }

func (c *callCounter) add(action, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[Outcome{Action: action, Code: code}]++
}

func (c *callCounter) snapshot() Calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

func (c *callCounter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.calls)
}

// Call is one request that a cloud has answered, or that got no answer.
type Call struct {
	Outcome
	// Caller is whose signature the request bears, by the access key and the region; empty for other forms of authentication.
	Caller       string
	Began, Ended time.Time
}

// callLog is every call to one service, in the order of their ends.
type callLog struct {
	mu    sync.Mutex
	calls []Call
}

// signedBy finds access key, date, region and service in a SigV4 signature.
var signedBy = regexp.MustCompile(`Credential=([^/,]+)/[0-9]+/([^/,]+)/`)

func (l *callLog) add(r *http.Request, action, code string, began time.Time) {
	if l == nil {
		return
	}
	caller := ""
	if m := signedBy.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		caller = m[1] + " in " + m[2]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, Call{Outcome{action, code}, caller, began, time.Now()})
}

func (l *callLog) all() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}
