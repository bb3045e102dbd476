package ecr

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/partition"
	"github.com/regcred/regcred/providers/internal/awsauth"
)

// client is a client of ECR's API in a region. The API's endpoint is the entry's, or the one that the controller's environment names, or
// the region's own; only that one depends on fips and dualStack.
func client(cfg aws.Config, spec *v1alpha1.ECR, region string) *ecr.Client {
	return ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		o.Region = region
		if spec.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if spec.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
		switch {
		case spec.APIEndpoint != "":
			o.BaseEndpoint = aws.String(spec.APIEndpoint)
		case o.BaseEndpoint == nil && o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled &&
			o.EndpointOptions.UseDualStackEndpoint != aws.DualStackEndpointStateEnabled && region != "":
			o.BaseEndpoint = fipsEndpoint(region)
		}
		if o.BaseEndpoint != nil { // with which the SDK takes no other wish
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		}
	})
}

// fipsEndpoint is the FIPS host of the API as AWS lists it ("Amazon ECR endpoints and quotas" of the general reference); the SDK would
// ask api.ecr-fips, which is not listed. Nothing is listed outside of the United States, where the SDK's rules decide.
func fipsEndpoint(region string) *string {
	suffix := partition.OfRegion(region).Suffix
	if !strings.HasPrefix(region, "us-") || suffix != "amazonaws.com" {
		return nil
	}
	return aws.String("https://ecr-fips." + region + "." + suffix)
}

// apiHost is the host that the client calls.
func apiHost(ctx context.Context, c *ecr.Client) string {
	o := c.Options()
	if o.BaseEndpoint != nil {
		return awsauth.HostOf(*o.BaseEndpoint)
	}
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region:       aws.String(o.Region),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return o.Region
	}
	return endpoint.URI.Host
}
