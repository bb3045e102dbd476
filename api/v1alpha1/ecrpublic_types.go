package v1alpha1

// ECRPublic is the public registry of Amazon ECR. Its tokens come from us-east-1; pulls without one are limited by the caller's
// address.
//
// +kubebuilder:validation:XValidation:rule="!has(self.externalID) || has(self.roleARN)",message="externalID needs roleARN: it is presented when that role is assumed"
type ECRPublic struct {
	// roleARN is a role that the identity assumes before it asks for the token.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws:iam::[0-9]{12}:role/([!-~]+/)?[a-zA-Z0-9_+=,.@-]{1,64}$')",message="roleARN must be the ARN of an IAM role in the commercial partition, such as arn:aws:iam::123456789012:role/pull"
	RoleARN string `json:"roleARN,omitempty"`

	// externalID is presented when roleARN is assumed, if its trust policy demands one.
	// +optional
	// +kubebuilder:validation:MaxLength=1224
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_+=,.@:/-]{2,}$')",message="externalID must be 2 to 1224 letters, digits and any of _+=,.@:/-"
	ExternalID string `json:"externalID,omitempty"`

	// dualStack asks for the token at the endpoint that serves IPv4 and IPv6, and publishes it for ecr-public.aws.com, too.
	// +optional
	DualStack bool `json:"dualStack,omitempty"`
}
