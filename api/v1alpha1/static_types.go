package v1alpha1

// Static is any registry whose credentials somebody else keeps, in the Secret of identity.secretRef: as username and password, or as
// a .dockerconfigjson. They never expire as far as Regcred knows; a change of the Secret is published.
//
// +kubebuilder:validation:AtMostOneOf=host;hosts
type Static struct {
	// host is the registry of the credentials, such as docker.io. It is needed for username and password.
	// +optional
	Host Host `json:"host,omitempty"`

	// hosts lists several registries that the credentials are for. Default, without host: all hosts of the .dockerconfigjson.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Hosts []Host `json:"hosts,omitempty"`
}
