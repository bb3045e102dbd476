package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
)

// entryName is what an entry of a credential may be called.
var entryName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// makes tells Secrets apart by the tokens that generators make for them.
func (s *secret) makes() string {
	var all []*v1alpha1.Registry
	for _, g := range s.generators {
		all = append(all, g.entry())
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err) // entries always encode
	}
	return string(raw)
}

// generated has the entries ask as the generator does. It is an entry of its own where no host tells of one.
func (p *Plan) generated(entries map[string]*v1alpha1.Registry, g *generator) {
	of, known := g.entry(), false
	for _, entry := range entries {
		known = takeFrom(entry, of) || known
	}
	switch {
	case known:
	case of.ArtifactRegistry != nil:
		p.note("%s does not say for which hosts its token is: write an entry artifactRegistry with them", g)
	case !entryName.MatchString(of.Name) || entries[of.Name] != nil:
		p.note("%s makes no entry: it names no region or registry that is one", g)
	default:
		entries[of.Name] = of
	}
}

// takeFrom completes an entry by what a generator says, if that is for the same registry.
func takeFrom(entry, of *v1alpha1.Registry) bool {
	switch {
	case entry.ECR != nil && of.ECR != nil && entry.ECR.Region == of.ECR.Region:
		entry.ECR.RoleARN = of.ECR.RoleARN
	case entry.ECRPublic != nil && of.ECRPublic != nil:
		entry.ECRPublic.RoleARN = of.ECRPublic.RoleARN
	case entry.ArtifactRegistry != nil && of.ArtifactRegistry != nil:
		of.ArtifactRegistry.Hosts = entry.ArtifactRegistry.Hosts
		entry.ArtifactRegistry = of.ArtifactRegistry
	case entry.ACR != nil && of.ACR != nil && entry.ACR.Registry == of.ACR.Registry:
		entry.ACR = of.ACR
	default:
		return false
	}
	entry.Identity = of.Identity
	return true
}

// identities notes what the identities of generators lack to be those of a credential: of the namespace, or of the cluster if it is empty.
func (p *Plan) identities(generators []*generator, namespace string) {
	where := "the controller's namespace"
	if namespace != "" {
		where = "namespace " + namespace
	}
	for _, g := range generators {
		account := g.account()
		secret, keys := g.secret()
		switch {
		case account != nil && namespace != "" && (g.namespace != "" || account.Namespace == "" || account.Namespace == namespace):
			// It is where the credential looks for it, and the cloud trusts it already.
		case account != nil:
			p.note("%s asks as ServiceAccount %s: the credential needs one of that name, with its annotations, in %s, and the cloud must trust that", g, account.Name, where)
		case secret != nil:
			p.note("%s reads Secret %s: the credential reads it in %s, with the label %s=%s and %s", g, secret.Name, where, v1alpha1.LabelSecret, v1alpha1.LabelSecretIdentity, keysOf(keys))
		case g.spec.Auth.ManagedIdentity != nil:
			p.note("%s asks as a managed identity of the nodes: a RegistryCredential may do that with allowAmbientIdentity of the chart", g)
		default:
			p.note("%s asks with the identity of External Secrets' own pods: give the identity of the credential the same rights", g)
		}
	}
}

// keysOf says which keys a Secret needs, and where their values are now.
func keysOf(keys map[string]reference) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, fmt.Sprintf("the key %s (now %s of Secret %s)", key, keys[key].Key, keys[key].Name))
	}
	return strings.Join(all, " and ")
}
