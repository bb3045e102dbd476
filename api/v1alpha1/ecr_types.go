package v1alpha1

// ECR is a private registry of Amazon ECR.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalID) || has(self.roleARN)",message="externalID needs roleARN: it is presented when that role is assumed"
// +kubebuilder:validation:XValidation:rule="!has(self.dualStack) || !self.dualStack || !has(self.region) || !self.region.matches('^(us|eu)-iso')",message="dualStack is not offered in the isolated regions: remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.apiEndpoint) || !has(self.region) || !self.apiEndpoint.startsWith('https://') || self.apiEndpoint.contains('.' + self.region + '.')",message="apiEndpoint must be in region: a token is valid in the region that issues it"
type ECR struct {
	// region is the AWS region of the registry; a token is valid in this region only.
	// Default: the region of the controller's AWS configuration (AWS_REGION).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(us-gov|us-iso[bf]?|eu-isoe|eusc-[a-z]{2}|[a-z]{2})-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9][0-9]?$')",message="region must be an AWS region, such as eu-west-1, us-gov-west-1 or cn-north-1"
	Region string `json:"region,omitempty"`

	// accounts lists the AWS accounts whose registries the Secret is for. Default: the account of the identity.
	// Another account's registry must also allow the identity in its repository policies.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9]{12}$')",message="an account must be the 12 digits of an AWS account ID, quoted"
	// +listType=set
	Accounts []string `json:"accounts,omitempty"`

	// roleARN is a role that the identity assumes before it asks for the token.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([!-~]+/)?[a-zA-Z0-9_+=,.@-]{1,64}$')",message="roleARN must be the ARN of an IAM role, such as arn:aws:iam::123456789012:role/pull"
	RoleARN string `json:"roleARN,omitempty"`

	// externalID is presented when roleARN is assumed, if its trust policy demands one.
	// +optional
	// +kubebuilder:validation:MaxLength=1224
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_+=,.@:/-]{2,}$')",message="externalID must be 2 to 1224 letters, digits and any of _+=,.@:/-"
	ExternalID string `json:"externalID,omitempty"`

	// apiEndpoint is where the token is asked for instead of the public endpoint of the region's API: an interface VPC endpoint without
	// private DNS, or another of ECR's own names. fips and dualStack then decide on AWS STS and on the published hosts only.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://(vpce-[a-z0-9-]+[.])?(api[.])?ecr(-fips)?[.][a-z0-9-]+[.](vpce[.])?(amazonaws[.]com([.]cn)?|amazonaws[.]eu|api[.]aws|api[.]amazonwebservices[.](com[.]cn|eu)|c2s[.]ic[.]gov|sc2s[.]sgov[.]gov|csp[.]hci[.]ic[.]gov|cloud[.]adc-e[.]uk)$')",message="apiEndpoint must be https:// and a name of ECR's API, such as https://vpce-0123456789abcdef0-abcdefgh.api.ecr.eu-west-1.vpce.amazonaws.com"
	APIEndpoint string `json:"apiEndpoint,omitempty"`

	// fips asks for the token at, and publishes it for, the FIPS endpoints; roles are assumed at that of AWS STS.
	// +optional
	FIPS bool `json:"fips,omitempty"`

	// dualStack asks for the token at, and publishes it for, the endpoints that serve IPv4 and IPv6; roles are assumed at
	// that of AWS STS.
	// +optional
	DualStack bool `json:"dualStack,omitempty"`
}
