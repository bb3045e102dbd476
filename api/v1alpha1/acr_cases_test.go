package v1alpha1_test

import "slices"

const (
	azureRegionMessage = "a region must be the name of an Azure region, such as westeurope"
	tenantMessage      = "tenantID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"
	clientMessage      = "clientID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"

	managedMessage       = "managedIdentity must be the client ID or the resource ID of a user-assigned managed identity, such as /subscriptions/72f988bf-86f1-41af-91ab-2d7cd011db47/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
	acrRepositoryMessage = "a repository must be one without host and tag, such as team/app"
	managedAloneMessage  = "acr.managedIdentity is an identity of the controller's node: remove identity"
	bindingMessage       = "acr.identityBinding needs identity.serviceAccountRef: AKS takes its token"

	azureNodeEntry = "spec.registries[11]"
	azureNode      = azureNodeEntry + ".acr"
	aksEntry       = "spec.registries[12]"
	aks            = aksEntry + ".acr"

	managedIdentities = "/subscriptions/72f988bf-86f1-41af-91ab-2d7cd011db47/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"

	azureEntry = "spec.registries[5]"
	acr        = azureEntry + ".acr"
)

func goodACR() []goodCase {
	return slices.Concat(
		goodHosts(acr+".registry"),
		[]goodCase{
			{acr, "{registry: myregistry.azurecr.cn}"},
			{acr + ".regions", "[westeurope, eastus2, chinanorth3, usgovvirginia, eastus2euap]"},
			{acr + ".regions", "[" + letters(32) + "]"},
			{acr + ".regions", "[" + chars(32) + "]"},
			{acr + ".tenantID", ""},
			{acr + ".clientID", ""},
			{azureEntry + ".identity", ""},
			{azureEntry + ".identity", "{secretRef: {name: a}}"},
			{azureNode + ".managedIdentity", "6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10"},
			{azureNode + ".managedIdentity", managedIdentities + chars(128)},
			{azureNode + ".managedIdentity", "/subscriptions/72F988BF-86F1-41AF-91AB-2D7CD011DB47/resourcegroups/My_(group).1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Pull_1"},
			{azureNode + ".repositories", "[" + numbered(16, "team/app%d") + "]"},
			{azureNode + ".repositories", "[" + chars(255) + "]"},
			{aks + ".identityBinding", "false"},
			{aks, "{registry: myregistry.azurecr.io, identityBinding: true, clientID: 6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10}"},
		},
	)
}

func badACR() []badCase {
	const regions = acr + ".regions"
	uuids := []string{"", "72f988bf86f141af91ab2d7cd011db47", "72F988BF-86F1-41AF-91AB-2D7CD011DB47", "contoso.example", "common",
		"72f988bf-86f1-41af-91ab-2d7cd011db4", "72f988bf-86f1-41af-91ab-2d7cd011db4g", "../72f988bf-86f1-41af-91ab-2d7cd0"}
	cases := badList(regions, 32, "westus%d")
	cases[1].value = "[" + letters(33) + "]" // a region has one digit at most
	return slices.Concat(
		cases,
		badHosts(acr+".registry"),
		[]badCase{
			{"no login server", acr + ".registry", "", acr + ".registry", "Required value"},
			tooLong(regions+"[0]", 32),
			tooLong(acr+".tenantID", 36),
			tooLong(acr+".clientID", 36),
			tooLong(azureNode+".managedIdentity", 512),
			tooLong(azureNode+".repositories[0]", 255),
			{"a managed identity and an identity", azureNodeEntry + ".identity", "{secretRef: {name: a}}", azureNodeEntry, managedAloneMessage},
			{"a managed identity and a client ID", azureNode + ".clientID", "6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10", azureNode,
				"at most one of the fields in [managedIdentity clientID] may be set"},
			{"a managed identity and a binding", azureNode + ".identityBinding", "false", azureNode,
				"at most one of the fields in [managedIdentity identityBinding] may be set"},
			{"repositories at regional endpoints", azureNode + ".regions", "[westeurope]", azureNode, "at most one of the fields in [regions repositories] may be set"},
			{"a binding without identity", aksEntry + ".identity", "", aksEntry, bindingMessage},
			{"a binding and a Secret", aksEntry + ".identity", "{secretRef: {name: a}}", aksEntry, bindingMessage},
		},
		refused(regions+"[0]", azureRegionMessage, "", "West Europe", "westEurope", "west-europe", "westeurope.geo", "2eastus", "eastus22", "*"),
		refused(acr+".tenantID", tenantMessage, uuids...),
		refused(acr+".clientID", clientMessage, uuids...),
		badList(azureNode+".repositories", 16, "team/app%d"),
		refused(azureNode+".repositories[0]", acrRepositoryMessage, "", "team/app:v1", "myregistry.azurecr.io/team/app:v1", "/app", "app/", "*", "Team/App", "team/app pull"),
		refused(azureNode+".managedIdentity", managedMessage, "", "pull", managedIdentities, managedIdentities+"a/b", managedIdentities+"a?b", "/subscriptions/../x",
			"https://management.azure.com"+managedIdentities+"pull", "6B7AD8A9-1A7E-4A2B-B3A4-2F8E3A4C9D10"),
	)
}
