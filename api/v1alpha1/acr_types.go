package v1alpha1

// ACR is an Azure Container Registry.
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
}
