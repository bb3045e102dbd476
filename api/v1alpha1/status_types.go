package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CredentialStatus reports how a credential stands. Nothing is ever decided from it.
type CredentialStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first report.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// expiresAt is when the first of the published tokens expires.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// refreshAt is when the first of the published tokens is due to be refreshed.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// registriesCurrent is how many registries every selected namespace holds a live token for, of how many: "2/2".
	// It is for the eye: the column of kubectl.
	// +optional
	RegistriesCurrent string `json:"registriesCurrent,omitempty"`

	// registries reports each registry entry.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Registries []RegistryStatus `json:"registries,omitempty"`
}

// ClusterCredentialStatus is a CredentialStatus over all selected namespaces.
type ClusterCredentialStatus struct {
	CredentialStatus `json:",inline"`

	// namespaces counts the selected namespaces.
	// +optional
	Namespaces *NamespaceCounts `json:"namespaces,omitempty"`

	// failures names at most ten namespaces that fail for a reason of their own, oldest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Failures []NamespaceFailure `json:"failures,omitempty"`
}

// RegistryStatus reports one registry entry over all its targets.
type RegistryStatus struct {
	Name string `json:"name"`

	// hosts are the registry hosts that the published token is for: the first 64 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Hosts []string `json:"hosts,omitempty"`

	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// verified says, of an entry with verify, whether its published token has been proved to pull: True, or Unknown when the registry
	// did not answer as it was tried.
	// +optional
	// +kubebuilder:validation:Enum=True;Unknown
	Verified metav1.ConditionStatus `json:"verified,omitempty"`

	// reason says in a word why the entry cannot be refreshed. Absent when it can.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says what failed and what helps.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// NamespaceCounts counts the namespaces of a ClusterRegistryCredential.
type NamespaceCounts struct {
	// selected is how many namespaces get the Secret.
	Selected int32 `json:"selected"`
	// current is how many of them hold a live token for every registry.
	Current int32 `json:"current"`
}

// NamespaceFailure says why one namespace has no current Secret.
type NamespaceFailure struct {
	Namespace string `json:"namespace"`
	Reason    string `json:"reason"`
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}
