package v1alpha1_test

import "slices"

const (
	azureRegionMessage = "a region must be the name of an Azure region, such as westeurope"
	tenantMessage      = "tenantID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"
	clientMessage      = "clientID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"

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
		},
		refused(regions+"[0]", azureRegionMessage, "", "West Europe", "westEurope", "west-europe", "westeurope.geo", "2eastus", "eastus22", "*"),
		refused(acr+".tenantID", tenantMessage, uuids...),
		refused(acr+".clientID", clientMessage, uuids...),
	)
}
