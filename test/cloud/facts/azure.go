package facts

// AzureCloud is one of Azure's own clouds.
type AzureCloud struct{ Suffix, Authority, Audience string }

// AzureClouds are Azure's own. Sources (2026-11-25): "Azure Container Registry endpoint reference"; "National clouds" of the Microsoft identity
// platform; "Workload identity federation", "Important considerations" for the audiences of the national clouds.
var AzureClouds = []AzureCloud{
	{"azurecr.io", "https://login.microsoftonline.com/", "api://AzureADTokenExchange"},
	{"azurecr.cn", "https://login.partner.microsoftonline.cn/", "api://AzureADTokenExchangeChina"},
	{"azurecr.us", "https://login.microsoftonline.us/", "api://AzureADTokenExchangeUSGov"},
}

// AzureRegistryScope is what Entra is asked for, in all clouds. Source: azure-sdk-for-go, sdk/containers/azcontainerregistry/cloud_config.go
// (2026-11-25).
const AzureRegistryScope = "https://containerregistry.azure.net/.default"

// AKSIdentityBindingAudience is that of a token that AKS exchanges by an identity binding. Sources: AKS, "Identity bindings", and the
// configuration of the kubelet's ACR provider in Azure/AgentBaker (2026-11-25).
const AKSIdentityBindingAudience = "api://AKSIdentityBinding"

// ACRErrors are answers of registries.
var ACRErrors = map[string]Error{
	"firewall": {
		"Azure Container Registry, \"Troubleshoot network issues with registry\"", 403, "application/json; charset=utf-8",
		`{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`,
	},
	"unauthorized": {
		"Azure Container Registry, \"Troubleshoot registry login\"", 401, "application/json; charset=utf-8",
		`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":null}]}`,
	},
}
