// Package artifactregistry mints tokens for Google Artifact Registry, the hosts of gcr.io included.
package artifactregistry

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cloud.google.com/go/auth"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/clockskew"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// Name is the union member of this provider.
const Name = "artifactRegistry"

const (
	// username says that the password is an access token.
	username = "oauth2accesstoken"
	// scopeAll is the one that every Google API takes; what the token may do is decided by IAM. scopeRead takes from it all that changes
	// anything; the Artifact Registry API takes either (its discovery document), and the IAM Credentials API the first alone.
	scopeAll  = "https://www.googleapis.com/auth/cloud-platform"
	scopeRead = "https://www.googleapis.com/auth/cloud-platform.read-only"
	// metadataDialTimeout is that of Google's own metadata client: outside of Google Cloud nobody answers there.
	metadataDialTimeout = 2 * time.Second
)

// silent keeps the SDK's logger off, which GOOGLE_SDK_GO_LOGGING_LEVEL would turn on: it writes whole requests, tokens included.
var silent = slog.New(slog.DiscardHandler)

// Provider mints access tokens with Google's SDK. It honours GOOGLE_APPLICATION_CREDENTIALS and GCE_METADATA_HOST.
type Provider struct {
	clock clock.PassiveClock
	// apis leads to Google's APIs, local to the metadata server: never through a proxy.
	apis, local http.RoundTripper
	universes   universes
}

// Options are what New takes beside the clock.
type Options struct {
	// Universes are those besides Google Cloud's own, each as <domain of the APIs>=<suffix of registry hosts>.
	Universes []string
	// Transport leads to Google's APIs; nil for one that honours the proxy of the environment and the system's certificate authorities.
	Transport http.RoundTripper
}

// New returns a provider. It fails if an option makes no sense.
func New(c clock.PassiveClock, o Options) (*Provider, error) {
	others, err := parseUniverses(o.Universes)
	if err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		transport = outbound.Transport()
	}
	return &Provider{
		clock:     c,
		universes: others,
		apis:      transport,
		local: &http.Transport{DialContext: (&net.Dialer{Timeout: metadataDialTimeout}).DialContext, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: outbound.MaxHeaders},
	}, nil
}

// call is one call of Token: what it is about, and what has been heard from Google so far.
type call struct {
	*Provider
	spec *v1alpha1.ArtifactRegistry
	id   providers.Identity
	// universe is the domain of the APIs that are called.
	universe string
	// impersonates is whether the identity's own token is only shown to the IAM Credentials API.
	impersonates bool
	heard
}

// api is the base URL of an API.
func (c *call) api(name string) string { return "https://" + name + "." + c.universe }

// scope is that of a token; whether it is the one to publish decides if it may be narrow.
func (c *call) scope(published bool) string {
	if published && c.spec.ReadOnlyScope {
		return scopeRead
	}
	return scopeAll
}

// accessToken is an access token, and whose it is.
type accessToken struct {
	value       string
	expiresAt   time.Time
	renewableAt time.Time
	// holder names the owner in words; member is its name in IAM, empty if it is not known.
	holder, member string
}

// Token gets an access token as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	c := &call{Provider: p, spec: req.Registry.ArtifactRegistry, id: req.Identity}
	var err error
	if c.universe, err = p.universes.universeOf(c.spec.Hosts); err != nil {
		return providers.Token{}, err
	}
	targets, err := c.targets()
	if err != nil {
		return providers.Token{}, err
	}
	c.impersonates = len(targets) > 0
	token, own, err := c.source(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	targets = append(own, targets...)
	for i, target := range targets {
		if token, err = c.impersonate(ctx, token, target, c.scope(i == len(targets)-1)); err != nil {
			return providers.Token{}, err
		}
	}
	if err := c.checkRepositories(ctx, token); err != nil {
		return providers.Token{}, err
	}
	return providers.Token{
		Logins:      []providers.Login{{Username: username, Password: providers.Sensitive(token.value), Hosts: c.spec.Hosts}},
		ExpiresAt:   token.expiresAt,
		RenewableAt: token.renewableAt,
	}, nil
}

// lasting is the expiry of a token for which Google has stated a lifetime.
func (c *call) lasting(t *auth.Token) time.Time {
	return c.clock.Now().Add(time.Until(t.Expiry)) //nolint:forbidigo // the SDK adds the lifetime to the machine's time, and this takes it off again
}

// ending is the expiry of a token for which Google has stated a time, by Google's clock.
func (c *call) ending(t *auth.Token) time.Time {
	return clockskew.Ours(t.Expiry, c.date, c.clock.Now())
}
