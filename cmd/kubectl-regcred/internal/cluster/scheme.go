package cluster

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/regcred/regcred/api/v1alpha1"
)

// kinds are all that the commands read and write, by scope.
var kinds = map[meta.RESTScope][]schema.GroupVersionKind{
	meta.RESTScopeNamespace: {
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindRegistryCredential),
		corev1.SchemeGroupVersion.WithKind("Secret"), corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithKind("Event"), corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		appsv1.SchemeGroupVersion.WithKind("Deployment"), appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		appsv1.SchemeGroupVersion.WithKind("DaemonSet"), appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		batchv1.SchemeGroupVersion.WithKind("Job"), batchv1.SchemeGroupVersion.WithKind("CronJob"),
		coordinationv1.SchemeGroupVersion.WithKind("Lease"),
		ExternalSecrets("v1").WithKind("ExternalSecret"), ExternalSecrets("v1beta1").WithKind("ExternalSecret"), ExternalSecrets("v1alpha1").WithKind("PushSecret"),
		Generators.WithKind("ECRAuthorizationToken"), Generators.WithKind("GCRAccessToken"), Generators.WithKind("ACRAccessToken"),
	},
	meta.RESTScopeRoot: {
		v1alpha1.GroupVersion.WithKind(v1alpha1.KindClusterRegistryCredential),
		corev1.SchemeGroupVersion.WithKind("Namespace"), corev1.SchemeGroupVersion.WithKind("Node"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"), admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"),
		admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicy"), admissionv1.SchemeGroupVersion.WithKind("MutatingAdmissionPolicyBinding"),
		DefinitionKind, Generators.WithKind("ClusterGenerator"),
	},
}

// DefinitionKind is that of definitions of kinds. They are read without a type.
var DefinitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// Generators is the group of External Secrets' generators. It and its other kinds are read without a type, where a cluster knows them.
var Generators = schema.GroupVersion{Group: "generators.external-secrets.io", Version: "v1alpha1"}

// ExternalSecrets is a version of External Secrets' other kinds.
func ExternalSecrets(version string) schema.GroupVersion {
	return schema.GroupVersion{Group: "external-secrets.io", Version: version}
}

var (
	scheme = newScheme()
	mapper = newMapper()
)

// Scheme knows the kinds that the commands decode.
func Scheme() *runtime.Scheme { return scheme }

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, coordinationv1.AddToScheme, rbacv1.AddToScheme,
		admissionv1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(s); err != nil {
			panic(err) // two types of one kind: no run can end otherwise
		}
	}
	return s
}

func newMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for scope, all := range kinds {
		for _, gvk := range all {
			m.Add(gvk, scope)
		}
	}
	return m
}
