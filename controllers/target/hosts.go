package target

import (
	"fmt"
	"slices"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// refuseDuplicateHosts lets the first entry that claims a host have it. A claim that nothing but a record makes yields to all others: forged is
// whether such a record says to be of what the entry is made from now.
func (r *Reconciler) refuseDuplicateHosts(entries []*EntryState) (refused, forged bool) {
	claimed := map[string]*EntryState{}
	for _, e := range entries {
		for _, host := range e.Record.Hosts {
			first := claimed[pullsecret.Key(host)]
			switch {
			case first == nil || first == e || !first.Known:
				claimed[pullsecret.Key(host)] = e
				continue
			case !r.proven(first, host):
				forged = forged || first.madeFromNow()
				first.drop()
				claimed[pullsecret.Key(host)] = e
				continue
			case !r.proven(e, host):
				forged = forged || e.madeFromNow()
				e.drop()
			default:
				refused = true
				e.drop()
				e.Failure = &credential.Failure{Reason: v1alpha1.ReasonDuplicateHost, Terminal: true,
					Message: fmt.Sprintf("entries %s and %s both claim the host %s: remove it from one of them", first.Name, e.Name, host)}
			}
			break
		}
	}
	return refused, forged
}

// proven says whether it is known from elsewhere than a record, which a tenant may have written, that the entry has a host.
func (r *Reconciler) proven(e *EntryState, host string) bool {
	if e.Fresh || !e.madeFromNow() {
		return e.Fresh
	}
	hosts := r.Tokens.Hosts(&e.req.Registry)
	if len(hosts) == 0 {
		token, _ := r.Tokens.InMemory(*e.req)
		hosts = token.Hosts()
	}
	return slices.ContainsFunc(hosts, func(known string) bool { return pullsecret.Key(known) == pullsecret.Key(host) })
}
