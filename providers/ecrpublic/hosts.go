package ecrpublic

import "github.com/regcred/regcred/api/v1alpha1"

// The hosts of the API ("Amazon ECR Public endpoints and quotas" of the general reference).
const (
	apiHost          = "api.ecr-public.us-east-1.amazonaws.com"
	dualStackAPIHost = "ecr-public.us-east-1.api.aws"
)

// The hosts of the one public registry. Only the second serves IPv6, too.
const (
	host          = "public.ecr.aws"
	dualStackHost = "ecr-public.aws.com"
)

func hosts(spec *v1alpha1.ECRPublic) []string {
	if spec.DualStack {
		return []string{host, dualStackHost}
	}
	return []string{host}
}
