package audit

import (
	"errors"

	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
)

// errUnknown is of a list with Secrets of which it is not known what they hold.
var errUnknown = errors.New("what a Secret holds is not known")

// listOf is the list of a workload's pods: one that brings none gets that of its ServiceAccount when it is created.
func (i *inventory) listOf(w *workload) []string {
	if !w.pod && len(w.secrets) == 0 {
		return i.accounts[types.NamespacedName{Namespace: w.namespace, Name: w.account}]
	}
	return w.secrets
}

// ring is what the kubelet makes of a list: it leaves out what does not exist or holds nothing, and gives up at what it cannot parse.
func (i *inventory) ring(namespace string, list []string) (ring dockerconfig.Ring, err error) {
	for _, name := range list {
		at := types.NamespacedName{Namespace: namespace, Name: name}
		switch s := i.secrets[at]; {
		case name == "", i.others[at]:
		case s == nil && (i.promises(at) || !i.whole):
			err = errUnknown
		case s == nil:
		case errors.Is(s.err, dockerconfig.ErrMalformed):
			return nil, s.err
		default:
			ring.Add(name, s.config)
		}
	}
	return ring, err
}
