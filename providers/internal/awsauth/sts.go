package awsauth

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/regcred/regcred/internal/partition"
	"github.com/regcred/regcred/providers"
)

// Endpoints say which of AWS' endpoints an entry wants.
type Endpoints struct {
	// Region is the registry's.
	Region          string
	FIPS, DualStack bool
}

// region is where roles are assumed: at home, where the controller is sure to reach STS and its session is good everywhere in the
// partition; in the registry's region if there is no home, or that is of another partition or without FIPS endpoints.
func (e Endpoints) region(home string) string {
	switch {
	case home == "", e.Region != "" && partition.OfRegion(home) != partition.OfRegion(e.Region), e.FIPS && !hasFIPS(home):
		return cmp.Or(e.Region, home)
	default:
		return home
	}
}

// hasFIPS says whether STS has a FIPS endpoint in the region ("AWS STS endpoints and quotas" of the general reference).
func hasFIPS(region string) bool {
	return strings.HasPrefix(region, "us-") || strings.HasPrefix(region, "ca-")
}

// sts is a client of STS. An endpoint that the controller's environment names goes before what the entry wants: the administrator knows
// what it is.
func (e Endpoints) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.Region = e.region(cfg.Region)
		if o.BaseEndpoint != nil {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
			return
		}
		if e.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if e.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
}

// STSHost is the host that roles are assumed at.
func (e Endpoints) STSHost(ctx context.Context, cfg aws.Config) string {
	o := e.sts(cfg).Options()
	if o.BaseEndpoint != nil {
		return HostOf(*o.BaseEndpoint)
	}
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sts.EndpointParameters{
		Region:       aws.String(o.Region),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return "sts"
	}
	return endpoint.URI.Host
}

// HostOf is the host of a URL; the text itself if it is none.
func HostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}

// Way names the API's host with the way to it: who goes by STS, or by the controller's own credentials, fails with them, and alone.
func (e Endpoints) Way(ctx context.Context, cfg aws.Config, api string, role Role, id providers.Identity) string {
	if id.ServiceAccount == nil && id.Secret == nil {
		api += " as the controller"
	}
	if id.ServiceAccount != nil || role.ARN != "" {
		api += " by " + e.STSHost(ctx, cfg)
	}
	return api
}
