// Package ecr mints tokens for private registries of Amazon ECR.
package ecr

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/awsauth"
)

// Name is the union member of this provider.
const Name = "ecr"

const action = "ecr:GetAuthorizationToken"

// Provider mints ECR tokens with the AWS SDK. It honours the SDK's standard environment and files: endpoints, region, CA bundle,
// proxy, and the default credential chain for the ambient identity.
type Provider struct {
	clock  clock.PassiveClock
	config awsauth.Configuration
}

// New returns a provider. The AWS configuration is read at the first call.
func New(c clock.PassiveClock) *Provider { return &Provider{clock: c} }

// Token calls GetAuthorizationToken as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ECR
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	if spec.Region != "" {
		cfg.Region = spec.Region
	}
	if cfg.Region == "" {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"no AWS region is known: set ecr.region, or AWS_REGION on the controller")
	}
	role := awsauth.Role{ARN: spec.RoleARN, ExternalID: spec.ExternalID}
	if err := awsauth.Assume(ctx, &cfg, role, req.Identity); err != nil {
		return providers.Token{}, err
	}
	client := ecr.NewFromConfig(cfg, func(o *ecr.Options) { //nolint:contextcheck // options take no context
		if spec.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
		if spec.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
	out, err := client.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return providers.Token{}, awsauth.Explain(awsauth.Call{
			Action: action, As: awsauth.Principal(role, req.Identity),
			Conflict: "fips and dualStack cannot be combined with AWS_ENDPOINT_URL_ECR",
		}, err)
	}
	return p.token(out, spec, cfg.Region)
}

func (p *Provider) token(out *ecr.GetAuthorizationTokenOutput, spec *v1alpha1.ECR, region string) (providers.Token, error) {
	if len(out.AuthorizationData) == 0 {
		return providers.Token{}, awsauth.NoToken(action)
	}
	data := out.AuthorizationData[0]
	login, expiresAt, err := awsauth.Token(action, data.AuthorizationToken, data.ExpiresAt, out.ResultMetadata, p.clock.Now())
	if err != nil {
		return providers.Token{}, err
	}
	if login.Hosts, err = hosts(spec, region, aws.ToString(data.ProxyEndpoint)); err != nil {
		return providers.Token{}, err
	}
	return providers.Token{Logins: []providers.Login{login}, ExpiresAt: expiresAt}, nil
}
