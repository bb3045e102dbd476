package access

import (
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/internal/partition"
)

func (e *entry) azure() {
	registry, _, _ := strings.Cut(string(e.ACR.Registry), ".")
	principalID := e.azureIdentity()
	e.step("It may pull from the registry.",
		sh("az", "role", "assignment", "create", "--assignee", orElse(e.ACR.ClientID, unknownClient), "--role", "AcrPull", "--scope")+
			` "$(`+sh("az", "acr", "show", "--name", registry, "--query", "id", "--output", "tsv")+`)"`,
		block("data", "azurerm_container_registry", e.id(), attribute{"name", registry, false}, attribute{"resource_group_name", unknownGroup, false})+
			block("resource", "azurerm_role_assignment", e.id(), attribute{"scope", "data.azurerm_container_registry." + label(e.id()) + ".id", true},
				attribute{"role_definition_name", "AcrPull", false}, attribute{"principal_id", principalID, true}))
}

// azureIdentity makes the identity known to Entra, and is its ID as an expression of Terraform.
func (e *entry) azureIdentity() string {
	switch {
	case e.account() == "":
		return output.Terraform("OBJECT-ID-OF-THE-IDENTITY")
	case e.ACR.IdentityBinding:
		e.step("AKS vouches for the ServiceAccount: docs/providers/acr.md says how to bind the identity to the cluster, and to let the ServiceAccount use it.", "", "")
	default:
		e.federate()
	}
	const names = "The ServiceAccount names the identity: az identity show prints its IDs."
	e.annotate(e.ACR.ClientID == "", annotationClientID+"="+unknownClient, names)
	e.annotate(e.ACR.TenantID == "" && !e.ACR.IdentityBinding, annotationTenantID+"="+unknownTenant, names)
	if e.ACR.IdentityBinding {
		return output.Terraform("OBJECT-ID-OF-THE-IDENTITY")
	}
	return "data.azurerm_user_assigned_identity." + label(e.id()) + ".principal_id"
}

// federate lets a managed identity trust the ServiceAccount.
func (e *entry) federate() {
	cloud, _ := partition.OfRegistry(string(e.ACR.Registry))
	audience := orElse(cloud.Audience, unknownAudience)
	e.step("A managed identity trusts the ServiceAccount.",
		sh("az", "identity", "federated-credential", "create", "--resource-group", unknownGroup, "--identity-name", unknownIdentity, "--name", e.id(),
			"--issuer", e.options.Issuer, "--subject", e.subject(), "--audiences", audience),
		block("data", "azurerm_user_assigned_identity", e.id(), attribute{"name", unknownIdentity, false}, attribute{"resource_group_name", unknownGroup, false})+
			block("resource", "azurerm_federated_identity_credential", e.id(), attribute{"name", e.id(), false}, attribute{"resource_group_name", unknownGroup, false},
				attribute{"parent_id", "data.azurerm_user_assigned_identity." + label(e.id()) + ".id", true}, attribute{"issuer", e.options.Issuer, false},
				attribute{"subject", e.subject(), false}, attribute{"audience", "[" + output.Terraform(audience) + "]", true}))
}
