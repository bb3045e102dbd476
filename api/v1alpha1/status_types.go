package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CredentialStatus is what the controller reports of a credential. It never reads it back to decide anything.
type CredentialStatus struct {
	// observedGeneration is the generation of the spec that has been acted on in every namespace, be it with a failure; -1 before
	// the first report.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, which answers whether pods can pull, and Stalled, which is there only when nothing but a change of the
	// spec can help.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// lastHandledRefreshAt is the last value of the annotation regcred.dev/refresh-requested-at, by which you ask for new tokens,
	// that has been acted on in every namespace, be it with a failure.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastHandledRefreshAt string `json:"lastHandledRefreshAt,omitempty"`

	// expiresAt is when the first of the published tokens expires.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// refreshAt is when the first of the published tokens is due to be refreshed.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// registriesCurrent says for how many registries every selected namespace holds a live token, of how many: "2/2". It is what
	// kubectl get prints.
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

	// failures groups the namespaces that fail by their reason: the ten most severe reasons, the worst first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Failures []FailureGroup `json:"failures,omitempty"`
}

// RegistryStatus reports one registry entry over all its targets.
type RegistryStatus struct {
	// name is that of the entry in spec.registries.
	Name string `json:"name"`

	// hosts are the registry hosts that the published token is for: the first 64 of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Hosts []string `json:"hosts,omitempty"`

	// expiresAt is when the first of the entry's published tokens expires. Absent for what never expires.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// refreshAt is when the first of the entry's published tokens is due to be refreshed.
	// +optional
	RefreshAt *metav1.Time `json:"refreshAt,omitempty"`

	// verified says, of an entry with verify, whether its published token has been proved to pull: True, or Unknown when the registry
	// did not answer as it was tried.
	// +optional
	// +kubebuilder:validation:Enum=True;Unknown
	Verified metav1.ConditionStatus `json:"verified,omitempty"`

	// reason says in a word why the entry cannot be refreshed, or Overridden while its override is in use. Absent otherwise.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says what failed and what helps, or why verified is Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// NamespaceCounts counts the namespaces of a ClusterRegistryCredential.
type NamespaceCounts struct {
	// selected is how many namespaces are to have the Secret.
	Selected int32 `json:"selected"`
	// current is how many of them hold a live token for every registry.
	Current int32 `json:"current"`
	// conflicting is how many of them hold a Secret of that name which is not this credential's.
	Conflicting int32 `json:"conflicting"`
}

// FailureGroup is the namespaces that fail for one reason.
type FailureGroup struct {
	// reason says in a word why the namespaces fail.
	Reason string `json:"reason"`
	// count is how many namespaces fail for this reason.
	Count int32 `json:"count"`
	// message says what failed in one of them, and what helps.
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
	// namespaces names at most five of them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Namespaces []string `json:"namespaces"`
}
