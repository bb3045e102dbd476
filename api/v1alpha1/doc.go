// Package v1alpha1 is the API of Regcred: what a platform team declares about the registries that its pods pull from, and
// what Regcred reports back.
//
// +kubebuilder:object:generate=true
// +groupName=regcred.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every type in this package.
var GroupVersion = schema.GroupVersion{Group: "regcred.dev", Version: "v1alpha1"}

// AddToScheme registers the types of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&RegistryCredential{}, &RegistryCredentialList{},
		&ClusterRegistryCredential{}, &ClusterRegistryCredentialList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// The kinds of this group that hold a CredentialSpec.
const (
	KindRegistryCredential        = "RegistryCredential"
	KindClusterRegistryCredential = "ClusterRegistryCredential"
)
