// Package ecr mints tokens for private registries of Amazon ECR.
package ecr

import (
	"cmp"
	"context"
	"net/http"

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
	config *awsauth.Configuration
}

// Configuration is AWS' as the controller's environment and files have it, for all who call AWS. It is read at the first call. A
// transport that is not nil takes the place of the SDK's.
func Configuration(transport http.RoundTripper) *awsauth.Configuration {
	return awsauth.NewConfiguration(transport)
}

// New returns a provider.
func New(c clock.PassiveClock, config *awsauth.Configuration) *Provider {
	return &Provider{clock: c, config: config}
}

// Annotations are those that name a role.
func (*Provider) Annotations() []string { return awsauth.Annotations() }

// Audiences are those of AWS STS.
func (*Provider) Audiences() []string { return awsauth.Audiences() }

// Cure is how a pull is allowed.
func (*Provider) Cure() string {
	return "allow the identity ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository, and in the repository's policy if it is another account's"
}

// Endpoint is the host of ECR's API, and the way to it.
func (p *Provider) Endpoint(req providers.Request) string {
	spec, ctx := req.Registry.ECR, context.Background()
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return spec.Region
	}
	at := endpoints(cfg, spec)
	return at.Way(ctx, cfg, apiHost(ctx, client(cfg, spec, at.Region)), role(spec), req.Identity)
}

func endpoints(cfg aws.Config, spec *v1alpha1.ECR) awsauth.Endpoints {
	return awsauth.Endpoints{Region: cmp.Or(spec.Region, cfg.Region), FIPS: spec.FIPS, DualStack: spec.DualStack}
}

func role(spec *v1alpha1.ECR) awsauth.Role {
	return awsauth.Role{ARN: spec.RoleARN, ExternalID: spec.ExternalID}
}

// Hosts are known if the entry names its region and its accounts.
func (*Provider) Hosts(entry *v1alpha1.Registry) []string {
	spec := entry.ECR
	if spec.Region == "" || len(spec.Accounts) == 0 {
		return nil
	}
	named, err := hosts(spec, spec.Region, "")
	if err != nil {
		return nil
	}
	return named
}

// Token calls GetAuthorizationToken as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ECR
	cfg, err := p.config.Load(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	at := endpoints(cfg, spec)
	if at.Region == "" {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"no AWS region is known: set ecr.region, or AWS_REGION on the controller")
	}
	if err := awsauth.Assume(ctx, &cfg, at, role(spec), req.Identity); err != nil {
		return providers.Token{}, err
	}
	out, err := client(cfg, spec, at.Region).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return providers.Token{}, awsauth.Explain(awsauth.Call{Action: action, As: awsauth.Principal(role(spec), req.Identity)}, err)
	}
	return p.token(out, spec, at.Region)
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
