package history

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// leaseless: who works by a Lease writes nothing without it: not before it has it, not after another has got it, and not after it gave it up.
func (h History) leaseless() (broken []string) {
	requests := slices.Clone(h.Requests)
	slices.SortStableFunc(requests, func(a, b controlplane.AuditRequest) int { return a.Time.Compare(b.Time) })
	worksByLease, told := map[string]bool{}, map[string]bool{}
	holder := ""
	for _, r := range requests {
		switch {
		case r.Resource == "leases":
			worksByLease[r.Credential] = true
			if writes(r) && r.Code < http.StatusMultipleChoices {
				holder = r.Credential
				if r.Holder == "" {
					holder = "nobody"
				}
			}
		case !writes(r) || strings.HasSuffix(r.Resource, "reviews") || tellsOfLease(r):
			// A replica that waits for the Lease, too, asks who may read its metrics, and one that has lost it says so.
		case worksByLease[r.Credential] && holder != r.Credential && !told[r.Credential]:
			told[r.Credential] = true
			broken = append(broken, fmt.Sprintf("at %s a replica without the Lease made a %s of %s %s/%s", r.Time, r.Verb, r.Resource, r.Namespace, r.Name))
		}
	}
	return broken
}

// tellsOfLease is whether it is an event of the election itself.
func tellsOfLease(r controlplane.AuditRequest) bool {
	return r.Resource == "events" && r.Namespace == lab.Namespace && strings.HasPrefix(r.Name, "regcred.regcred.dev.")
}

func writes(r controlplane.AuditRequest) bool {
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, r.Verb)
}
