package v1alpha1

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RegistryCredential keeps one image pull Secret in its own namespace: it gets short-lived tokens for the registries that it lists,
// renews them in time, and adds the Secret to the imagePullSecrets of ServiceAccounts.
// See https://github.com/regcred/regcred/blob/main/docs/registrycredential.md
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=regcred,categories=regcreds
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Can pods pull?"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why Ready is what it is"
// +kubebuilder:printcolumn:name="Registries",type=string,JSONPath=`.status.registriesCurrent`,description="How many registries have a live token in every namespace, of how many"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`,description="When the first token expires"
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.status.refreshAt`,description="When the first token is refreshed"
// +kubebuilder:printcolumn:name="Suspended",type=boolean,priority=1,JSONPath=`.spec.suspend`,description="Is the credential suspended?"
// +kubebuilder:printcolumn:name="Stalled",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Stalled")].status`,description="Can only a change of the spec help?"
// +kubebuilder:printcolumn:name="Failing",type=string,priority=1,JSONPath=`.status.registries[?(@.reason)].name`,description="The first registry with a reason of its own"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: it also stands in annotations, and names the Secret unless secretName does",fieldPath=".metadata"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.secretName) ? self.spec.secretName : self.metadata.name) == (has(oldSelf.spec.secretName) ? oldSelf.spec.secretName : oldSelf.metadata.name)",message="secretName cannot be changed, since running pods name the Secret: create a second credential, and delete this one when no pod needs its Secret",fieldPath=".spec.secretName"
// +kubebuilder:validation:XValidation:rule="[(has(self.spec.secretName) ? self.spec.secretName : self.metadata.name)].all(n, self.spec.registries.all(r, (!has(r.identity) || !has(r.identity.secretRef) || r.identity.secretRef.name != n) && (!has(r.override) || r.override.secretRef.name != n)))",message="identity.secretRef and override.secretRef may not name the credential's own Secret: it cannot be its own source",fieldPath=".spec.registries"
type RegistryCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state: the registries to log in to, whose identity asks for the tokens, and which ServiceAccounts pull with
	// them.
	// +required
	Spec CredentialSpec `json:"spec"`

	// status is what the controller reports. It is information only: the controller never reads it back.
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

// ClusterRegistryCredential keeps one image pull Secret in every namespace that it selects: it gets short-lived tokens for the
// registries that it lists, renews them in time, and adds the Secret to the imagePullSecrets of ServiceAccounts.
// See https://github.com/regcred/regcred/blob/main/docs/clusterregistrycredential.md
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cregcred,categories=regcreds
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Can pods pull?"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why Ready is what it is"
// +kubebuilder:printcolumn:name="Registries",type=string,JSONPath=`.status.registriesCurrent`,description="How many registries have a live token in every namespace, of how many"
// +kubebuilder:printcolumn:name="Namespaces",type=integer,JSONPath=`.status.namespaces.selected`,description="Namespaces that are selected"
// +kubebuilder:printcolumn:name="Current",type=integer,JSONPath=`.status.namespaces.current`,description="Namespaces whose Secret holds live tokens for every registry"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`,description="When the first token expires"
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.status.refreshAt`,description="When the first token is refreshed"
// +kubebuilder:printcolumn:name="Suspended",type=boolean,priority=1,JSONPath=`.spec.suspend`,description="Is the credential suspended?"
// +kubebuilder:printcolumn:name="Stalled",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Stalled")].status`,description="Can only a change of the spec help?"
// +kubebuilder:printcolumn:name="Failing",type=string,priority=1,JSONPath=`.status.registries[?(@.reason)].name`,description="The first registry with a reason of its own"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: it also stands in annotations, and names the Secret unless secretName does",fieldPath=".metadata"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.secretName) ? self.spec.secretName : self.metadata.name) == (has(oldSelf.spec.secretName) ? oldSelf.spec.secretName : oldSelf.metadata.name)",message="secretName cannot be changed, since running pods name the Secret: create a second credential, and delete this one when no pod needs its Secret",fieldPath=".spec.secretName"
type ClusterRegistryCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired state: the registries to log in to, whose identity asks for the tokens, and the namespaces and
	// ServiceAccounts that pull with them.
	// +required
	Spec ClusterCredentialSpec `json:"spec"`

	// status is what the controller reports. It is information only: the controller never reads it back.
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

	// serviceAccounts selects the ServiceAccounts that get the Secret among their imagePullSecrets. Default: none.
	// +optional
	ServiceAccounts *ServiceAccounts `json:"serviceAccounts,omitempty"`

	// secretName is the name of the Secret. It cannot be changed, since running pods name the Secret: to use another name, create
	// a second credential, and delete the first when no pod names its Secret. Default: metadata.name.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="secretName must be the name of a Secret: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	SecretName string `json:"secretName,omitempty"`

	// secretTemplate adds labels and annotations to the Secret. Those that others add stay, too. Default: none.
	// +optional
	SecretTemplate *SecretTemplate `json:"secretTemplate,omitempty"`

	// deletionPolicy says what becomes of the Secret, and of its name among the imagePullSecrets of ServiceAccounts, when the
	// credential is deleted. Delete removes both; Retain leaves both as they are, so that pods pull until the tokens expire.
	// Default: Delete.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops everything: while it is true no token is asked for, no Secret or ServiceAccount is changed and no pod is
	// evicted, and pods pull until the tokens expire. Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// NameOfSecret is the name of the Secret that a credential of that name and with this spec keeps.
func (s *CredentialSpec) NameOfSecret(credential string) string {
	return cmp.Or(s.SecretName, credential)
}

// SecretTemplate is what users add to the Secret.
type SecretTemplate struct {
	// labels are added to the labels of the Secret, and put back when somebody removes them: at most 16, and none whose key
	// begins with regcred.dev/ or link.regcred.dev/. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="each key of labels must be a label key, such as app or example.com/app"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('regcred.dev/') && !k.startsWith('link.regcred.dev/'))",message="labels of regcred.dev and link.regcred.dev are Regcred's own"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the annotations of the Secret, and put back when somebody removes them: at most 16, and none
	// whose key begins with regcred.dev/ or link.regcred.dev/. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="each key of annotations must be an annotation key, such as note or example.com/note"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('regcred.dev/') && !k.startsWith('link.regcred.dev/'))",message="annotations of regcred.dev and link.regcred.dev are Regcred's own"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=1024
type AnnotationValue string

// DeletionPolicy is what becomes of Secrets and links when their credential is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// DeletionPolicyDelete removes them; DeletionPolicyRetain leaves them as they are.
const (
	DeletionPolicyDelete DeletionPolicy = "Delete"
	DeletionPolicyRetain DeletionPolicy = "Retain"
)

// ClusterCredentialSpec is a CredentialSpec and the namespaces it is for.
type ClusterCredentialSpec struct {
	// namespaceSelector selects the namespaces that get the Secret by their labels. {} selects every namespace.
	// Namespaces that the administrator excludes (by default kube-system, kube-public and kube-node-lease) are never selected.
	// +required
	NamespaceSelector Selector `json:"namespaceSelector"`

	CredentialSpec `json:",inline"`
}

// ServiceAccounts selects ServiceAccounts of a target namespace by name or by label.
//
// +kubebuilder:validation:ExactlyOneOf=names;selector
type ServiceAccounts struct {
	// names lists ServiceAccounts. One that does not exist yet gets the Secret when it appears.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="a name must be the name of a ServiceAccount: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	// +listType=set
	Names []string `json:"names,omitempty"`

	// selector selects ServiceAccounts by their labels. {} selects all.
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// recoverPods says what to do with a pod that fails to pull because it was created before its ServiceAccount got the
	// Secret. Evict evicts it if a ReplicaSet, StatefulSet, DaemonSet or ReplicationController creates it anew with the
	// Secret; PodDisruptionBudgets hold. Default: it is left alone.
	// +optional
	RecoverPods RecoverPods `json:"recoverPods,omitempty"`
}

// RecoverPods is what to do with pods that came too early.
//
// +kubebuilder:validation:Enum=Evict
type RecoverPods string

// RecoverPodsEvict evicts them.
const RecoverPodsEvict RecoverPods = "Evict"
