package access

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"github.com/regcred/regcred/api/v1alpha1"
)

// longestID is how long names of roles may be in AWS: no other cloud takes less.
const longestID = 64

// notInID is what some cloud takes in no name.
var notInID = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// id is a name for what is made in a cloud. One that must be cut or changed for that ends in a hash, so that no two names become one. No
// name of Kubernetes has an underscore: what stands before it is a namespace.
func (e *entry) id() string {
	name := e.credential + "-" + e.Name
	if e.kind == v1alpha1.KindRegistryCredential {
		name = e.namespace + "_" + name
	}
	name = "regcred-" + name
	id := notInID.ReplaceAllString(name, "-")
	if id == name && len(id) <= longestID {
		return id
	}
	sum := sha256.Sum256([]byte(name))
	return id[:min(len(id), longestID-9)] + "-" + hex.EncodeToString(sum[:4])
}
