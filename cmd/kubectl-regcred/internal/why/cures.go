package why

import (
	"fmt"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// cures are the sentences for what no credential could have prevented; %s is the registry.
var cures = map[string]string{
	v1alpha1.CauseImageNotFound:   "registry %s has no such image, or hides it from whoever may not pull it: correct the name, tag or digest, or push the image",
	v1alpha1.CauseRateLimited:     "registry %s or the node asks for patience: wait, log in to raise the limit, or use a mirror",
	v1alpha1.CauseUnreachable:     "the node does not reach registry %s: look at its DNS, firewall, proxy and private endpoints",
	v1alpha1.CauseUntrusted:       "the node does not trust the certificate of registry %s: install its authority on the nodes, or correct the mirror's configuration",
	v1alpha1.CauseRegistryFailing: "registry %s answers with an error of its own: look at its state; the kubelet tries again by itself",
	v1alpha1.CauseOther:           "the kubelet fails at registry %s for a reason that is not known here: read its own words below",
}

func cureOf(cause string, i diagnosis.Image) string {
	return fmt.Sprintf(cures[cause], i.Host)
}
