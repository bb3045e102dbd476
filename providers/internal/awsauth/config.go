// Package awsauth provides what the providers of Amazon's registries share: the SDK's configuration, the identities that call, and what
// comes of a call.
package awsauth

import (
	"context"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// Configuration is the controller's AWS configuration: the SDK's standard environment and files with endpoints, region, CA bundle, proxy
// and the default credential chain. It is read at the first use. All who call AWS share one, and with it credentials and connections.
type Configuration struct {
	client aws.HTTPClient

	mu     sync.Mutex
	loaded *aws.Config
}

// NewConfiguration returns a configuration. A transport that is not nil takes the place of the SDK's own.
func NewConfiguration(transport http.RoundTripper) *Configuration {
	if transport == nil {
		return &Configuration{}
	}
	return &Configuration{client: &http.Client{Transport: transport}}
}

// Load returns a copy of the configuration that the caller may change.
func (c *Configuration) Load(ctx context.Context) (aws.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded == nil {
		options := []func(*config.LoadOptions) error{config.WithRetryer(clockSkewRetryer)}
		if c.client != nil {
			options = append(options, config.WithHTTPClient(c.client))
		}
		cfg, err := config.LoadDefaultConfig(ctx, options...)
		if err != nil {
			return aws.Config{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the AWS configuration of the controller cannot be read: "+
				"check AWS_CA_BUNDLE, AWS_CONFIG_FILE and the other AWS_ variables")
		}
		if cfg.HTTPClient == nil {
			cfg.HTTPClient = awshttp.NewBuildableClient()
		}
		if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			// Otherwise every service client, and so every call, would open connections of its own.
			cfg.HTTPClient = client.WithTransportOptions(func(t *http.Transport) { t.MaxResponseHeaderBytes = outbound.MaxHeaders }).Freeze()
		}
		cfg.HTTPClient = whole{cfg.HTTPClient}
		c.loaded = &cfg
	}
	return c.loaded.Copy(), nil
}

// clockSkewRetryer repeats a call once, and only if it was refused for the time in its signature: the SDK corrects that.
// All other repetition is the Broker's, which knows who else is asking.
func clockSkewRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.Retryables = []retry.IsErrorRetryable{retry.NoRetryCanceledError{}, retry.RetryableError{}}
	})
}
