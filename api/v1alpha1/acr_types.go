package v1alpha1

// ACR is an Azure Container Registry.
//
// +kubebuilder:validation:AtMostOneOf=managedIdentity;clientID
// +kubebuilder:validation:AtMostOneOf=managedIdentity;identityBinding
// +kubebuilder:validation:AtMostOneOf=regions;repositories
type ACR struct {
	// registry is the login server, such as myregistry.azurecr.io. A token of Microsoft Entra is sent there, so the controller
	// refuses hosts outside of the suffixes that its administrator allows.
	// +required
	Registry Host `json:"registry"`

	// regions lists the regions whose endpoints (<name>.<region>.geo.azurecr.io) the Secret is for, too, if the registry has
	// regional endpoints.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z]+([0-9][a-z]*)?$')",message="a region must be the name of an Azure region, such as westeurope"
	// +listType=set
	Regions []string `json:"regions,omitempty"`

	// tenantID is the tenant of the identity. Default: that of the ServiceAccount's annotation, of the Secret, or of the
	// controller's environment (AZURE_TENANT_ID).
	// +optional
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')",message="tenantID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"
	TenantID string `json:"tenantID,omitempty"`

	// clientID is the application or the user-assigned managed identity. Default: that of the ServiceAccount's annotation, of the
	// Secret, or of the controller's environment (AZURE_CLIENT_ID).
	// +optional
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')",message="clientID must be a UUID in lower case, such as 72f988bf-86f1-41af-91ab-2d7cd011db47"
	ClientID string `json:"clientID,omitempty"`

	// managedIdentity is a user-assigned managed identity of the controller's node, by its resource ID or its client ID. It takes the
	// place of the controller's workload identity, if it has one.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|/subscriptions/[0-9a-fA-F-]{36}/resource[gG]roups/[a-zA-Z0-9._()-]{1,90}/providers/Microsoft[.]ManagedIdentity/userAssignedIdentities/[a-zA-Z0-9_-]{3,128})$')",message="managedIdentity must be the client ID or the resource ID of a user-assigned managed identity, such as /subscriptions/72f988bf-86f1-41af-91ab-2d7cd011db47/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
	ManagedIdentity string `json:"managedIdentity,omitempty"`

	// identityBinding has AKS, and not Microsoft Entra, take the token of identity.serviceAccountRef: by an identity binding, of which
	// the controller learns from AKS' webhook.
	// +optional
	IdentityBinding bool `json:"identityBinding,omitempty"`

	// repositories lists the only repositories that the token may pull from. It then lives for about an hour instead of three.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$')",message="a repository must be one without host and tag, such as team/app"
	// +listType=set
	Repositories []string `json:"repositories,omitempty"`
}
