package v1alpha1

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Registry is one registry entry: a provider, and the identity it acts with.
//
// +kubebuilder:validation:ExactlyOneOf=ecr;ecrPublic;artifactRegistry;acr;artifactory;static;plugin
// +kubebuilder:validation:XValidation:rule="!has(self.static) || has(self.identity) && has(self.identity.secretRef)",message="static needs identity.secretRef: the Secret that holds the credentials"
// +kubebuilder:validation:XValidation:rule="!has(self.artifactory) || has(self.identity)",message="artifactory needs an identity: serviceAccountRef for an exchange by OpenID Connect, or secretRef for an administrator's token; either for aws"
// +kubebuilder:validation:XValidation:rule="!has(self.artifactory) || has(self.artifactory.aws) || !has(self.identity) || has(self.identity.serviceAccountRef) == has(self.artifactory.providerName)",message="artifactory.providerName names the OpenID Connect integration for identity.serviceAccountRef: set both or neither"
// +kubebuilder:validation:XValidation:rule="!has(self.plugin) || !has(self.identity) || has(self.identity.serviceAccountRef)",message="plugin takes no identity.secretRef: a plugin gets a ServiceAccount's token or uses an identity of its own"
// +kubebuilder:validation:XValidation:rule="!has(self.artifactRegistry) || !has(self.artifactRegistry.workloadIdentityProvider) && !has(self.artifactRegistry.gkeCluster) && !has(self.artifactRegistry.fleetMembership) || has(self.identity) && has(self.identity.serviceAccountRef)",message="workloadIdentityProvider, gkeCluster and fleetMembership need identity.serviceAccountRef: they say where its token is exchanged"
// +kubebuilder:validation:XValidation:rule="!has(self.acr) || !has(self.acr.managedIdentity) || !has(self.identity)",message="acr.managedIdentity is an identity of the controller's node: remove identity"
// +kubebuilder:validation:XValidation:rule="!has(self.acr) || !has(self.acr.identityBinding) || !self.acr.identityBinding || has(self.identity) && has(self.identity.serviceAccountRef)",message="acr.identityBinding needs identity.serviceAccountRef: AKS takes its token"
type Registry struct {
	// name tells the entries of a credential apart, in status, events and metrics.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must be lower case letters, digits and '-', starting and ending with a letter or digit"
	Name string `json:"name"`

	// ecr is a private registry of Amazon ECR.
	// +optional
	ECR *ECR `json:"ecr,omitempty"`

	// ecrPublic is the public registry of Amazon ECR, public.ecr.aws.
	// +optional
	ECRPublic *ECRPublic `json:"ecrPublic,omitempty"`

	// artifactRegistry is Google Artifact Registry, the hosts of gcr.io included.
	// +optional
	ArtifactRegistry *ArtifactRegistry `json:"artifactRegistry,omitempty"`

	// acr is an Azure Container Registry.
	// +optional
	ACR *ACR `json:"acr,omitempty"`

	// artifactory is a Docker registry of JFrog Artifactory.
	// +optional
	Artifactory *Artifactory `json:"artifactory,omitempty"`

	// static is any registry whose credentials somebody else keeps in a Secret.
	// +optional
	Static *Static `json:"static,omitempty"`

	// plugin asks a credential provider plugin of the kubelet, which the administrator has installed beside the controller.
	// +optional
	Plugin *Plugin `json:"plugin,omitempty"`

	// identity is who asks the cloud for the token. Default: the controller's own identity, which the administrator must have
	// allowed to a RegistryCredential (--allow-ambient-identity).
	// +optional
	Identity *Identity `json:"identity,omitempty"`

	// verify proves that a new token can pull before it is published. A token that the registry refuses is not published; one that
	// cannot be tried, because the registry does not answer, is.
	// +optional
	Verify *Verify `json:"verify,omitempty"`

	// renewBeforePercentage is how much of a token's life is left when it is renewed, from 10 to 90 per cent. A larger number renews
	// earlier, and bridges a longer outage of the cloud. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=90
	RenewBeforePercentage int32 `json:"renewBeforePercentage,omitempty"`

	// override publishes a username and a password of your own instead of the provider's token, for the hours in which a cloud or
	// an identity is down. Default: none.
	// +optional
	Override *Override `json:"override,omitempty"`
}

// DefaultRenewBeforePercentage is what counts without renewBeforePercentage.
const DefaultRenewBeforePercentage = 50

// RenewBefore is the part of a token's life, in per cent, that is left when the entry renews it.
func (r *Registry) RenewBefore() int32 {
	return cmp.Or(r.RenewBeforePercentage, DefaultRenewBeforePercentage)
}

// Override is a login by hand, for a while.
type Override struct {
	// secretRef names the Secret that holds the login under the keys username and password. It carries the label
	// regcred.dev/secret=identity, and is in the namespace of a RegistryCredential, or in the controller's namespace for a
	// ClusterRegistryCredential.
	// +required
	SecretRef LocalReference `json:"secretRef"`

	// until is when the provider's token takes the place of the login again, at most 7 days ahead. A time that is past has no
	// effect.
	// +required
	Until metav1.Time `json:"until"`
}

// Provider is the name of the member that is set, and the endpoint that its tokens come from: entries of one provider and one
// endpoint share a rate limit.
func (r *Registry) Provider() (name, endpoint string) {
	switch {
	case r.ECR != nil:
		return "ecr", r.ECR.Region
	case r.ECRPublic != nil:
		return "ecrPublic", ""
	case r.ArtifactRegistry != nil:
		return "artifactRegistry", ""
	case r.ACR != nil:
		return "acr", string(r.ACR.Registry)
	case r.Artifactory != nil:
		return "artifactory", r.Artifactory.URL
	case r.Static != nil:
		return "static", ""
	case r.Plugin != nil:
		return "plugin", r.Plugin.Name
	default:
		return "", ""
	}
}

// Host is the host of a registry as it stands in an image reference. What is admitted here, the parser of the providers takes.
//
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$')",message="a host must be that of a registry as it stands in an image reference, such as registry.example.com or registry.example.com:5000"
// +kubebuilder:validation:XValidation:rule="!self.matches('(^|[.])([0-9]+|0x[a-z0-9-]*)(:[0-9]+)?$') || self.matches('^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(:[0-9]+)?$')",message="a host that ends like a number must be an IPv4 address, such as 10.0.0.1, since resolvers take it for one"
type Host string

// Lifetime is a time span in hours, minutes and seconds, such as 1h30m.
//
// +kubebuilder:validation:MaxLength=16
type Lifetime string

// Duration is the time span; 0 for none. The schema admits nothing that does not parse.
func (l Lifetime) Duration() time.Duration {
	d, _ := time.ParseDuration(string(l))
	return d
}

// Verify says what a new token must be able to pull.
type Verify struct {
	// repository is one that the token must be able to pull from, without host and tag, of at least 2 characters. It need not
	// exist.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$')",message="repository must be a repository without host and tag, such as team/app"
	Repository string `json:"repository"`

	// host is the registry to try, if the token is for several. Default: the first.
	// +optional
	Host Host `json:"host,omitempty"`
}

// Identity names who asks the cloud for a token: an object in the namespace of a RegistryCredential, or in the
// controller's namespace for a ClusterRegistryCredential.
//
// +kubebuilder:validation:ExactlyOneOf=serviceAccountRef;secretRef
type Identity struct {
	// serviceAccountRef names a ServiceAccount whose token the cloud accepts (workload identity).
	// +optional
	ServiceAccountRef *LocalReference `json:"serviceAccountRef,omitempty"`

	// secretRef names a Secret with static credentials; its keys are those of the provider. It carries the label
	// regcred.dev/secret=identity.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// LocalReference names an object. Its namespace is never a choice: see Identity.
type LocalReference struct {
	// name is the name of the object.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be the name of an object: lower case letters, digits, '-' and '.', starting and ending with a letter or digit"
	Name string `json:"name"`
}
