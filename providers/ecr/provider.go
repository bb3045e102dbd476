// Package ecr mints tokens for private registries of Amazon ECR.
package ecr

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Name is the union member of this provider.
const Name = "ecr"

// tolerableSkew is how far our clock and AWS' may differ before the expiry of a token is converted from one to the other.
const tolerableSkew = time.Minute

// Provider mints ECR tokens with the AWS SDK. It honours the SDK's standard environment and files: endpoints, region, CA bundle,
// proxy, and the default credential chain for the ambient identity.
type Provider struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	loaded *aws.Config
}

// New returns a provider. The AWS configuration is read at the first call.
func New(c clock.PassiveClock) *Provider { return &Provider{clock: c} }

// Token calls GetAuthorizationToken as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ECR
	cfg, err := p.config(ctx)
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
	if err := p.assume(ctx, &cfg, spec, req.Identity); err != nil {
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
		return providers.Token{}, explain("ecr:GetAuthorizationToken", who(spec, req.Identity), err)
	}
	return p.token(out, spec, cfg.Region)
}

func (p *Provider) config(ctx context.Context) (aws.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded == nil {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryer(clockSkewRetryer))
		if err != nil {
			return aws.Config{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the AWS configuration of the controller cannot be read: "+
				"check AWS_CA_BUNDLE, AWS_CONFIG_FILE and the other AWS_ variables")
		}
		if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			// Otherwise every service client, and so every call, would open connections of its own.
			cfg.HTTPClient = client.Freeze()
		}
		p.loaded = &cfg
	}
	return p.loaded.Copy(), nil
}

// clockSkewRetryer repeats a call once, and only if it was refused for the time in its signature: the SDK corrects that.
// All other repetition is the Broker's, which knows who else is asking.
func clockSkewRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.Retryables = []retry.IsErrorRetryable{retry.NoRetryCanceledError{}, retry.RetryableError{}}
	})
}

func (p *Provider) token(out *ecr.GetAuthorizationTokenOutput, spec *v1alpha1.ECR, region string) (providers.Token, error) {
	if len(out.AuthorizationData) == 0 || out.AuthorizationData[0].ExpiresAt == nil {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "ecr:GetAuthorizationToken answered without a token")
	}
	data := out.AuthorizationData[0]
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	username, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "ecr:GetAuthorizationToken answered with a token that is not username:password")
	}
	hosts, err := hosts(spec, region, aws.ToString(data.ProxyEndpoint))
	if err != nil {
		return providers.Token{}, err
	}
	expiresAt := *data.ExpiresAt
	if server, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		if skew := server.Sub(p.clock.Now()); skew.Abs() > tolerableSkew {
			expiresAt = expiresAt.Add(-skew)
		}
	}
	return providers.Token{
		Logins:    []providers.Login{{Username: username, Password: providers.Sensitive(password), Hosts: hosts}},
		ExpiresAt: expiresAt,
	}, nil
}
