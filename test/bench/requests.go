package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// tally counts requests by what they did.
type tally map[string]int

func (t tally) of(match func(string) bool) int {
	n := 0
	for what, count := range t {
		if match(what) {
			n += count
		}
	}
	return n
}

// each is how many there are for each of n Secrets.
func (t tally) each(match func(string) bool, n int) float64 { return float64(t.of(match)) / float64(n) }

// lines lists the most frequent first.
func (t tally) lines() []string {
	order := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b))
	})
	lines := make([]string, len(order))
	for i, what := range order {
		lines[i] = fmt.Sprintf("%d × %s", t[what], what)
	}
	return lines
}

// requestsBetween counts what the controller asked of the API server.
func (b *bench) requestsBetween(start, end time.Time) (tally, error) {
	requests, err := b.AuditRequests(start, func(r controlplane.AuditRequest) bool {
		return r.User == controllerUser && r.Time.Before(end)
	})
	if err != nil {
		return nil, err
	}
	counts := tally{}
	for _, r := range requests {
		counts[describe(r)]++
	}
	return counts, nil
}

// ofTheLease is how requests for the Lease, and the event that tells who leads, begin.
const ofTheLease = "leader election: "

func describe(r controlplane.AuditRequest) string {
	resource := r.Resource
	if resource == "" {
		resource, _, _ = strings.Cut(r.URI, "?") // discovery, for one
	}
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	what := r.Verb + " " + resource
	if r.Code >= 400 {
		what += fmt.Sprintf(" (%d)", r.Code)
	}
	if r.Resource == "leases" || r.Resource == "events" && r.Namespace == lab.Namespace {
		return ofTheLease + what
	}
	return what
}

func isWrite(what string) bool {
	verb, _, _ := strings.Cut(what, " ")
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, verb)
}

func isRead(what string) bool {
	return strings.HasPrefix(what, "get ") || strings.HasPrefix(what, "list ")
}

func isWriteOfSecret(what string) bool { return isWrite(what) && strings.HasSuffix(what, " secrets") }

// isAvoidable is true of what a controller with nothing to do has no reason to send.
func isAvoidable(what string) bool {
	return !strings.HasPrefix(what, ofTheLease) && !strings.HasPrefix(what, "watch ")
}
