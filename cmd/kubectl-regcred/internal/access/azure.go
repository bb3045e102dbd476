package access

import (
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/providers/partition"
)

func (e *entry) azure() {
	registry, _, _ := strings.Cut(string(e.ACR.Registry), ".")
	client := orElse(e.ACR.ClientID, unknownClient)
	cloud, _ := partition.OfRegistry(string(e.ACR.Registry))
	audience := orElse(cloud.Audience, unknownAudience)
	if e.account() != "" {
		e.step("A managed identity trusts the ServiceAccount.",
			sh("az", "identity", "federated-credential", "create", "--resource-group", unknownGroup, "--identity-name", unknownIdentity, "--name", e.id(),
				"--issuer", e.options.Issuer, "--subject", e.subject(), "--audiences", audience),
			block("azurerm_federated_identity_credential", e.id(), attribute{"name", e.id(), false}, attribute{"resource_group_name", unknownGroup, false},
				attribute{"parent_id", "azurerm_user_assigned_identity." + unknownIdentity + ".id", true}, attribute{"issuer", e.options.Issuer, false},
				attribute{"subject", e.subject(), false}, attribute{"audience", "[" + output.Terraform(audience) + "]", true}))
	}
	e.step("It may pull from the registry.",
		sh("az", "role", "assignment", "create", "--assignee", client, "--role", "AcrPull", "--scope")+` "$(`+sh("az", "acr", "show", "--name", registry, "--query", "id", "--output", "tsv")+`)"`,
		block("azurerm_role_assignment", e.id(), attribute{"scope", "data.azurerm_container_registry." + label(registry) + ".id", true},
			attribute{"role_definition_name", "AcrPull", false}, attribute{"principal_id", "azurerm_user_assigned_identity." + unknownIdentity + ".principal_id", true}))
}
