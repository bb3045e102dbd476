package v1alpha1

// Plugin asks a credential provider plugin, by the kubelet's exec protocol (credentialprovider.kubelet.k8s.io/v1). The administrator
// installs and configures plugins as for a kubelet: --image-credential-provider-config and --image-credential-provider-bin-dir.
type Plugin struct {
	// name is the plugin's, as in the controller's CredentialProviderConfig.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_][a-zA-Z0-9._-]*$')",message="name must be the file name of a plugin: letters, digits, '.', '_' and '-', not starting with '.' or '-'"
	Name string `json:"name"`

	// image is what the plugin is asked to pull; it must match matchImages of the plugin's configuration. The Secret is for the
	// image's host.
	// +required
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[a-zA-Z0-9._:@/-]+)?$') && size(self.split('/')[0]) <= 253 && (!self.matches('^([^/]*[.])?([0-9]+|0x[a-z0-9-]*)(:[0-9]+)?(/|$)') || self.matches('^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(:[0-9]+)?(/|$)'))",message="image must be an image or its registry, such as registry.example.com/team/app"
	Image string `json:"image"`

	// hosts lists further registry hosts that the Secret is for; the plugin's answer must cover them.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=63
	// +listType=set
	Hosts []Host `json:"hosts,omitempty"`
}
