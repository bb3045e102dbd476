package artifactregistry

import (
	"os"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/audience"
)

// Annotations name the service account to impersonate.
func (*Provider) Annotations() []string { return []string{annotationServiceAccount} }

// Audiences are those of workload identity federation and of identity namespaces.
func (*Provider) Audiences() []string { return audience.Of[audience.Google] }

// Cure is how a pull is allowed.
func (*Provider) Cure() string {
	return "grant the identity roles/artifactregistry.reader on the repository"
}

// Hosts are those that the entry names.
func (p *Provider) Hosts(entry *v1alpha1.Registry) []string {
	if _, err := p.universes.universeOf(entry.ArtifactRegistry.Hosts); err != nil {
		return nil
	}
	return entry.ArtifactRegistry.Hosts
}

// Endpoint is the host that the identity's own token comes from, and that of the impersonation, if there is one.
func (p *Provider) Endpoint(req providers.Request) string {
	spec, sa := req.Registry.ArtifactRegistry, req.Identity.ServiceAccount
	impersonated := spec.ServiceAccount != "" || sa != nil && sa.Annotations[annotationServiceAccount] != ""
	universe, err := p.universes.universeOf(spec.Hosts)
	if err != nil {
		universe = googleapis
	}
	host := "metadata.google.internal"
	switch {
	case sa != nil:
		host = "sts." + universe
	case req.Identity.Secret != nil:
		// Which of its hosts is asked stands in the Secret, which is not read for this.
		host = "oauth2." + universe
	case os.Getenv(envCredentials) != "":
		host = universe + " as the controller"
	}
	if impersonated {
		host += " and iamcredentials." + universe
	}
	return host
}
