package acr

import (
	"os"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Annotations name an application and its tenant.
func (*Provider) Annotations() []string {
	return []string{annotationPullClientID, annotationPullTenantID, annotationClientID, annotationTenantID}
}

// Cure is how a pull is allowed.
func (*Provider) Cure() string {
	return "grant the identity AcrPull on the registry or, if the registry's role assignment mode is RBAC with ABAC repository permissions, " +
		"Container Registry Repository Reader"
}

// Hosts are the login server and its regional endpoints.
func (p *Provider) Hosts(entry *v1alpha1.Registry) []string {
	reg, err := p.registry(entry.ACR)
	if err != nil {
		return nil
	}
	return reg.hosts(entry.ACR.Regions)
}

// Endpoint is the login server, and who knows the identity: Entra, or the controller's node.
func (p *Provider) Endpoint(req providers.Request) string {
	spec := req.Registry.ACR
	reg, err := p.registry(spec)
	if err != nil {
		return string(spec.Registry)
	}
	ambient := req.Identity.ServiceAccount == nil && req.Identity.Secret == nil
	switch {
	case ambient && (spec.ManagedIdentity != "" || os.Getenv(envFederatedTokenFile) == ""):
		return reg.host.String() + " as the controller's node"
	case spec.IdentityBinding, ambient && os.Getenv(envTokenProxy) != "":
		return reg.host.String() + " by AKS"
	}
	authority, _ := authorityOf(reg.site.entra.authority) // checked when it was read
	return reg.host.String() + " by " + authority
}
