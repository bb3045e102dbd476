// Package ecrpublic mints tokens for the public registry of Amazon ECR.
package ecrpublic

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"k8s.io/utils/clock"

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
	config awsauth.Configuration
}

// New returns a provider. The AWS configuration is read at the first call. A transport that is not nil takes the place of the SDK's.
func New(c clock.PassiveClock, transport http.RoundTripper) *Provider {
	p := &Provider{clock: c}
	if transport != nil {
		p.config.HTTPClient = &http.Client{Transport: transport}
	}
	return p
}

// Token calls GetAuthorizationToken as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ECRPublic
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	cfg.Region = region
	role := awsauth.Role{ARN: spec.RoleARN, ExternalID: spec.ExternalID}
	if err := awsauth.Assume(ctx, &cfg, role, req.Identity); err != nil {
		return providers.Token{}, err
	}
	client := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) { //nolint:contextcheck // options take no context
		if spec.DualStack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
	})
	out, err := client.GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return providers.Token{}, explain(role, req.Identity, err)
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
