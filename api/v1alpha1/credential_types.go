package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RegistryCredential keeps one image pull Secret of its own name in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=regcred,categories=regcreds
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Can pods pull?"
// +kubebuilder:printcolumn:name="Registries",type=string,JSONPath=`.status.registriesCurrent`,description="Registries with a live token in every namespace, of all"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`,description="When the first token expires"
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.status.refreshAt`,description="When the first token is refreshed"
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: it also names the Secret and the annotation that records a link",fieldPath=".metadata"
type RegistryCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec CredentialSpec `json:"spec"`
	// +kubebuilder:default:={"observedGeneration":-1}
	// +optional
	Status CredentialStatus `json:"status,omitempty"`
}

// RegistryCredentialList is a list of RegistryCredentials.
//
// +kubebuilder:object:root=true
type RegistryCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RegistryCredential `json:"items"`
}

// ClusterRegistryCredential keeps one image pull Secret of its own name in every namespace it selects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cregcred,categories=regcreds
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Can pods pull?"
// +kubebuilder:printcolumn:name="Registries",type=string,JSONPath=`.status.registriesCurrent`,description="Registries with a live token in every namespace, of all"
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.namespaces.selected`
// +kubebuilder:printcolumn:name="Current",type=integer,JSONPath=`.status.namespaces.current`,description="Namespaces whose Secret holds live tokens for every registry"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`,description="When the first token expires"
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.status.refreshAt`,description="When the first token is refreshed"
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: it also names the Secret and the annotation that records a link",fieldPath=".metadata"
type ClusterRegistryCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ClusterCredentialSpec `json:"spec"`
	// +kubebuilder:default:={"observedGeneration":-1}
	// +optional
	Status ClusterCredentialStatus `json:"status,omitempty"`
}

// ClusterRegistryCredentialList is a list of ClusterRegistryCredentials.
//
// +kubebuilder:object:root=true
type ClusterRegistryCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterRegistryCredential `json:"items"`
}

// CredentialSpec is what both kinds declare.
type CredentialSpec struct {
	// registries lists the registries to hold tokens for, each under a name of its own. All of them go into one Secret.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=name
	Registries []Registry `json:"registries"`

	// serviceAccounts says which ServiceAccounts get the Secret among their imagePullSecrets. Absent: none.
	// +optional
	ServiceAccounts *ServiceAccounts `json:"serviceAccounts,omitempty"`
}

// ClusterCredentialSpec is a CredentialSpec and the namespaces it is for.
type ClusterCredentialSpec struct {
	// namespaceSelector selects the namespaces that get the Secret by their labels. {} selects every namespace.
	// Namespaces that the controller excludes (by default kube-system, kube-public and kube-node-lease) are never selected.
	// +required
	NamespaceSelector Selector `json:"namespaceSelector"`

	CredentialSpec `json:",inline"`
}

// ServiceAccounts selects ServiceAccounts of a target namespace by name or by label.
//
// +kubebuilder:validation:ExactlyOneOf=names;selector
type ServiceAccounts struct {
	// names lists ServiceAccounts. One that does not exist yet is linked when it appears.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="a name must be the name of a ServiceAccount: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	// +listType=set
	Names []string `json:"names,omitempty"`

	// selector selects ServiceAccounts by their labels. {} selects all.
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// recoverPods says what to do with a pod that fails to pull because it was created before its ServiceAccount was linked. Evict
	// evicts it if it has a controller, which then creates it anew with the link; PodDisruptionBudgets hold. Absent: it is left alone.
	// +optional
	RecoverPods RecoverPods `json:"recoverPods,omitempty"`
}

// RecoverPods is what to do with pods that came too early.
//
// +kubebuilder:validation:Enum=Evict
type RecoverPods string

// RecoverPodsEvict evicts them.
const RecoverPodsEvict RecoverPods = "Evict"
