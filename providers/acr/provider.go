// Package acr mints tokens for Azure Container Registry.
package acr

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
	"github.com/golang-jwt/jwt/v5"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/clockskew"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// Name is the union member of this provider.
const Name = "acr"

const (
	// username says that the password is a refresh token.
	username = "00000000-0000-0000-0000-000000000000"
	// localDialTimeout bounds the way to the managed identity's endpoint, which is on the node: where there is none, packets vanish.
	localDialTimeout = 2 * time.Second
)

// Provider mints ACR refresh tokens: Entra knows the identity, and the registry exchanges Entra's token for its own.
type Provider struct {
	clock clock.PassiveClock
	sites []site
	// remote reaches Entra and registries; local, the managed identity's endpoint on the node, which is at a link-local address.
	remote, local *http.Client
}

// New returns a provider. It fails if an option makes no sense.
func New(c clock.PassiveClock, o Options) (*Provider, error) {
	sites, err := o.sites()
	if err != nil {
		return nil, err
	}
	p := &Provider{clock: c, sites: sites, remote: outbound.Client(o.Transport)}
	local := o.Transport
	if local == nil {
		t := outbound.Transport()
		// What is on the node is not behind a proxy.
		t.Proxy = nil
		t.DialContext = (&net.Dialer{Timeout: localDialTimeout}).DialContext
		local = t
	}
	p.local = outbound.Client(local)
	return p, nil
}

// Token asks Entra for a token of the identity, and the registry for a refresh token in its place.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.ACR
	// First of all: an Entra token is asked for only if there is a host that it may go to.
	reg, err := p.registry(spec)
	if err != nil {
		return providers.Token{}, err
	}
	id, err := p.identity(ctx, reg.site, spec, req.Identity)
	if err != nil {
		return providers.Token{}, err
	}
	// With claims MSAL leaves out the token cache that it has for managed identities. It does not send them to their endpoint.
	access, err := id.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{reg.site.entra.scope()}, Claims: id.claims})
	if err != nil {
		return providers.Token{}, id.explain(id.wire.last, id)
	}
	id.tenant = tenantOf(access.Token, id.tenant)
	password, expiresAt, err := p.exchange(ctx, reg, id, access.Token)
	if err == nil && len(spec.Repositories) > 0 {
		password, expiresAt, err = p.scoped(ctx, reg, id, password, spec.Repositories)
	}
	if err != nil {
		return providers.Token{}, err
	}
	return providers.Token{
		Logins:    []providers.Login{{Username: username, Password: providers.Sensitive(password), Hosts: reg.hosts(spec.Regions)}},
		ExpiresAt: expiresAt,
	}, nil
}

// exchange has the registry turn a token of Entra into a refresh token of its own.
func (p *Provider) exchange(ctx context.Context, reg registry, id identity, accessToken string) (string, time.Time, error) {
	w, client, err := p.client(reg)
	if err != nil {
		return "", time.Time{}, err
	}
	options := &azcontainerregistry.AuthenticationClientExchangeAADAccessTokenForACRRefreshTokenOptions{AccessToken: &accessToken}
	if id.tenant != "" {
		options.Tenant = &id.tenant
	}
	out, err := client.ExchangeAADAccessTokenForACRRefreshToken(ctx, azcontainerregistry.PostContentSchemaGrantTypeAccessToken, reg.host.String(), options)
	if err != nil {
		return "", time.Time{}, explainExchange(w.last, reg, id)
	}
	claims, err := claimsOf(out.RefreshToken, reg)
	if err != nil {
		return "", time.Time{}, err
	}
	return *out.RefreshToken, p.ours(claims.RegisteredClaims, w.last.date), nil
}

func (p *Provider) client(reg registry) (*wire, *azcontainerregistry.AuthenticationClient, error) {
	w := p.wire()
	client, err := azcontainerregistry.NewAuthenticationClient(reg.host.URL(),
		&azcontainerregistry.AuthenticationClientOptions{ClientOptions: w.options(reg.site.entra.authority)})
	if err != nil {
		return nil, nil, providers.Errorf(v1alpha1.ReasonInternal, "no client for the registry %s can be made; please report this as a bug", reg.host)
	}
	return w, client, nil
}

// ours is the expiry by our clock. The registry's is read off its answer or, if a proxy has removed that, off the time of issue.
func (p *Provider) ours(claims jwt.RegisteredClaims, date time.Time) time.Time {
	theirs := date
	if theirs.IsZero() && claims.IssuedAt != nil {
		theirs = claims.IssuedAt.Time
	}
	return clockskew.Ours(claims.ExpiresAt.Time, theirs, p.clock.Now())
}

func (p *Provider) wire() *wire { return &wire{client: p.remote} }
