// Package ecrpublic mints tokens for the public registry of Amazon ECR.
package ecrpublic

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/awsauth"
)

// Name is the union member of this provider.
const Name = "ecrPublic"

const action = "ecr-public:GetAuthorizationToken"

// region is where all tokens of the public registry come from (ECR Public user guide, "Registry authentication").
const region = "us-east-1"

// Provider mints ECR Public tokens with the AWS SDK. It honours the SDK's standard environment and files, but for the region.
type Provider struct {
	clock  clock.PassiveClock
	config *awsauth.Configuration
}

// New returns a provider. The configuration is the one of all who call AWS (ecr.Configuration).
func New(c clock.PassiveClock, config *awsauth.Configuration) *Provider {
	return &Provider{clock: c, config: config}
}

// Annotations are those that name a role.
func (*Provider) Annotations() []string { return awsauth.Annotations() }

// Audiences are those of AWS STS.
func (*Provider) Audiences() []string { return awsauth.Audiences() }

// Cure is how a pull is allowed.
func (*Provider) Cure() string { return "check that the repository is public" }

// Hosts are those of the public registry.
func (*Provider) Hosts(entry *v1alpha1.Registry) []string { return hosts(entry.ECRPublic) }

// Endpoint is the host of ECR Public's API, and the way to it.
func (p *Provider) Endpoint(req providers.Request) string {
	spec, ctx := req.Registry.ECRPublic, context.Background()
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return apiHost
	}
	host := apiHost
	switch endpoint := client(cfg, spec).Options().BaseEndpoint; {
	case endpoint != nil:
		host = awsauth.HostOf(*endpoint)
	case spec.DualStack:
		host = dualStackAPIHost
	}
	return endpoints(spec).Way(ctx, cfg, host, role(spec), req.Identity)
}

func endpoints(spec *v1alpha1.ECRPublic) awsauth.Endpoints {
	return awsauth.Endpoints{Region: region, DualStack: spec.DualStack}
}

func role(spec *v1alpha1.ECRPublic) awsauth.Role {
	return awsauth.Role{ARN: spec.RoleARN, ExternalID: spec.ExternalID}
}

// client is a client of ECR Public's API: at the endpoint that the controller's environment names, if it does, and else at AWS' own.
func client(cfg aws.Config, spec *v1alpha1.ECRPublic) *ecrpublic.Client {
	return ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		o.Region = region
		switch {
		case o.BaseEndpoint != nil:
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateDisabled
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateDisabled
		case spec.DualStack:
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
}

// Token calls GetAuthorizationToken as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ECRPublic
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	if err := awsauth.Assume(ctx, &cfg, endpoints(spec), role(spec), req.Identity); err != nil {
		return providers.Token{}, err
	}
	out, err := client(cfg, spec).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return providers.Token{}, explain(role(spec), req.Identity, err)
	}
	if out.AuthorizationData == nil {
		return providers.Token{}, awsauth.NoToken(action)
	}
	data := out.AuthorizationData
	login, expiresAt, err := awsauth.Token(action, data.AuthorizationToken, data.ExpiresAt, out.ResultMetadata, p.clock.Now())
	if err != nil {
		return providers.Token{}, err
	}
	login.Hosts = hosts(spec)
	return providers.Token{Logins: []providers.Login{login}, ExpiresAt: expiresAt}, nil
}
