package v1alpha1

// Artifactory is a Docker registry of JFrog Artifactory.
//
// +kubebuilder:validation:AtMostOneOf=providerName;aws
// +kubebuilder:validation:XValidation:rule="!has(self.aws) || !has(self.username) && !has(self.scope) && !has(self.projectKey)",message="username, scope and projectKey are not for aws: the role's mapping in JFrog decides them"
// +kubebuilder:validation:XValidation:rule="!has(self.providerName) || !has(self.username) && !has(self.scope) && !has(self.tokenLifetime)",message="username, scope and tokenLifetime are for identity.secretRef: with providerName the identity mapping in JFrog decides them"
// +kubebuilder:validation:XValidation:rule="has(self.providerName) || !has(self.identityMappingName) && !has(self.audience)",message="identityMappingName and audience need providerName"
type Artifactory struct {
	// url is the JFrog platform's base, such as https://acme.jfrog.io.
	// +required
	// +kubebuilder:validation:MaxLength=261
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$') && (!self.matches('(//|[.])([0-9]+|0x[a-z0-9-]*)(:[0-9]+)?$') || self.matches('^https://((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(:[0-9]+)?$'))",message="url must be https:// and the platform's host, with a port if needed and without path, such as https://acme.jfrog.io"
	URL string `json:"url"`

	// hosts lists the registry hosts that the Secret is for: the platform's own (repository path), <instance>-<repository>.jfrog.io, or
	// <repository>.<host> of an own domain (sub-domain), or <host>:<port>. Default: the host of url.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Hosts []Host `json:"hosts,omitempty"`

	// providerName is the OpenID Connect integration that takes the token of identity.serviceAccountRef.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9][a-zA-Z0-9._-]*$')",message="providerName must be the name of an OpenID Connect integration: letters, digits, '.', '_' and '-'"
	ProviderName string `json:"providerName,omitempty"`

	// identityMappingName chooses one of the integration's identity mappings. Default: JFrog chooses.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9][a-zA-Z0-9._-]*$')",message="identityMappingName must be the name of an identity mapping: letters, digits, '.', '_' and '-'"
	IdentityMappingName string `json:"identityMappingName,omitempty"`

	// audience is the audience of the ServiceAccount's token, as the integration expects it; the controller's administrator must have
	// bound it to url (--artifactory-audiences). Default: url.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="audience must be printable characters without blanks"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(sts[.]amazonaws[.]com([.]cn)?|pods[.]eks[.]amazonaws[.]com|api://AzureADTokenExchange[a-zA-Z]*|api://AKSIdentityBinding|(https:)?//iam[.]googleapis[.]com/.*|.*[.]svc[.]id[.]goog|https://containerregistry[.]azure[.]net(/.*)?|https://kubernetes[.]default.*|kubernetes([.]default[.]svc)?|api)$')",message="audience must not be that of another cloud or of Kubernetes: who answers at url could use the token there"
	Audience string `json:"audience,omitempty"`

	// aws logs in with the AWS role of the identity, which JFrog must know. The platform must be https://<name>.jfrog.io or one that the
	// controller's administrator has named (--artifactory-aws-platforms).
	// +optional
	AWS *ArtifactoryAWS `json:"aws,omitempty"`

	// projectKey is the JFrog project that the token is for.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9-]+$')",message="projectKey must be the key of a JFrog project: 2 to 32 lower case letters, digits and '-', starting with a letter"
	ProjectKey string `json:"projectKey,omitempty"`

	// username is the user that the token is made for, with identity.secretRef. Default: the user of the Secret's token.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9][a-zA-Z0-9@._+-]*$')",message="username must be a user of Artifactory: letters, digits, '@', '.', '_', '+' and '-'"
	Username string `json:"username,omitempty"`

	// scope is what the token may do, with identity.secretRef. Default: applied-permissions/user.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^applied-permissions/(user|groups:[ -~]+)$')",message="scope must be applied-permissions/user, or applied-permissions/groups: and names of groups, such as applied-permissions/groups:readers"
	Scope string `json:"scope,omitempty"`

	// tokenLifetime is how long a token lives, with identity.secretRef or aws, from 10m to 24h. A token of 3h or less may be too short for
	// JFrog to remember, and then is not revoked when it is replaced. Default: 6h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}[hms])+$') && duration(self) >= duration('10m') && duration(self) <= duration('24h')",message="tokenLifetime must be from 10m to 24h, such as 6h"
	TokenLifetime Lifetime `json:"tokenLifetime,omitempty"`
}

// ArtifactoryAWS is a login with an AWS role: JFrog is shown a request to AWS STS that only the role can have signed.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalID) || has(self.roleARN)",message="externalID needs roleARN: it is presented when that role is assumed"
type ArtifactoryAWS struct {
	// region is where roles are assumed. Default: the region of the controller's AWS configuration (AWS_REGION).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(us-gov|us-iso[bf]?|eu-isoe|eusc-[a-z]{2}|[a-z]{2})-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9][0-9]?$')",message="region must be an AWS region, such as eu-west-1, us-gov-west-1 or cn-north-1"
	Region string `json:"region,omitempty"`

	// roleARN is a role that the identity assumes before it logs in.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([!-~]+/)?[a-zA-Z0-9_+=,.@-]{1,64}$')",message="roleARN must be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/pull"
	RoleARN string `json:"roleARN,omitempty"`

	// externalID is presented when roleARN is assumed, if its trust policy demands one.
	// +optional
	// +kubebuilder:validation:MaxLength=1224
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_+=,.@:/-]{2,}$')",message="externalID must be 2 to 1224 letters, digits and any of _+=,.@:/-"
	ExternalID string `json:"externalID,omitempty"`
}
