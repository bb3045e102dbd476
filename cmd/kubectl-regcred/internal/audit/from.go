package audit

import (
	"io"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/manifest"
)

// readFrom reads manifests: of a file, of the files of a directory, or of stdin. Kinds that do not matter are left out.
func readFrom(path string, stdin io.Reader) (*inventory, manifest.Gaps, error) {
	i := newInventory()
	gaps, err := manifest.Read(path, stdin, func(o client.Object) { i.add(o) })
	if err != nil {
		return nil, gaps, err
	}
	// Where Secrets are kept elsewhere, none is missing.
	i.whole = len(i.secrets)+len(i.others) > 0
	i.settle()
	return i, gaps, nil
}
