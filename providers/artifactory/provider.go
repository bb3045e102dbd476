// Package artifactory mints tokens for Docker registries of JFrog Artifactory.
package artifactory

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/providers/internal/clockskew"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// Name is the union member of this provider.
const Name = "artifactory"

// Provider mints tokens by the REST API of JFrog Access. It honours the proxy of the environment and the system's certificate
// authorities.
type Provider struct {
	clock  clock.PassiveClock
	client *http.Client
	aws    *awsauth.Configuration
	// audiences are those that the administrator has bound to a platform's URL, awsPlatforms the URLs that may see signatures of AWS roles.
	audiences    map[string][]string
	awsPlatforms []string
}

var _ providers.Revoker = (*Provider)(nil)

// New returns a provider. It fails if an option makes no sense.
func New(c clock.PassiveClock, o Options) (*Provider, error) {
	audiences, platforms, err := o.bound()
	if err != nil {
		return nil, err
	}
	return &Provider{clock: c, client: outbound.Client(o.Transport), aws: o.AWS, audiences: audiences, awsPlatforms: platforms}, nil
}

// Annotations are those that name a role of AWS.
func (*Provider) Annotations() []string { return awsauth.Annotations() }

// Cure is how a pull is allowed.
func (*Provider) Cure() string { return "let a group of the token's user read the repository" }

// Hosts are those that the entry names, or the platform's.
func (*Provider) Hosts(entry *v1alpha1.Registry) []string {
	_, registries, err := hosts(entry.Artifactory)
	if err != nil {
		return nil
	}
	return registries
}

// Endpoint is the platform's host and, for the login of a role of AWS, the way to it: when STS fails, only those who go by it rest.
func (p *Provider) Endpoint(req providers.Request) string {
	spec, ctx := req.Registry.Artifactory, context.Background()
	host := strings.TrimPrefix(spec.URL, "https://")
	if spec.AWS == nil || p.aws == nil {
		return host
	}
	cfg, err := p.aws.Load(ctx)
	if err != nil {
		return host
	}
	return awsauth.Endpoints{Region: cmp.Or(spec.AWS.Region, cfg.Region)}.Way(ctx, cfg, host, role(spec.AWS), req.Identity)
}

// Token has JFrog issue a token as the identity of req.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.Artifactory
	base, hosts, err := hosts(spec)
	if err != nil {
		return providers.Token{}, err
	}
	c, err := p.mint(ctx, base, spec, req.Identity)
	if err != nil {
		return providers.Token{}, err
	}
	var out answer
	asked := p.clock.Now()
	date, err := p.do(ctx, c, &out)
	if err != nil {
		return providers.Token{}, err
	}
	return c.token(out, spec, hosts, asked, date)
}

// Revoke ends a token that was created with the token in a Secret. Those of an exchange have no ID: JFrog names none, and lets only an
// administrator end them.
func (p *Provider) Revoke(ctx context.Context, req providers.Request, id string) error {
	base, _, err := hosts(req.Registry.Artifactory)
	if err != nil {
		return err
	}
	if !tokenID.MatchString(id) {
		return &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errNotAnID}
	}
	if req.Identity.Secret == nil {
		return &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errNotRevocable}
	}
	c, err := revoke(ctx, base, id, req.Identity.Secret)
	if err != nil {
		return err
	}
	_, err = p.do(ctx, c, nil)
	return err
}

// token makes a token of JFrog's answer. The life counts from when it was asked for, whatever JFrog's clock says; only an answer without
// it needs the date of JFrog's clock, to read the end that stands in the token.
func (c call) token(out answer, spec *v1alpha1.Artifactory, hosts []string, asked, date time.Time) (providers.Token, error) {
	if !isPassword(out.AccessToken) {
		return providers.Token{}, c.invalid("without a token")
	}
	claims := claimsOf(out.AccessToken)
	var expiresAt time.Time
	switch {
	case out.ExpiresIn > 0 && out.ExpiresIn < int64(providers.Never.Sub(asked).Seconds()):
		expiresAt = asked.Add(time.Duration(out.ExpiresIn) * time.Second)
	case out.ExpiresIn > 0:
		expiresAt = providers.Never
	case claims.ExpiresAt != nil:
		expiresAt = clockskew.Ours(claims.ExpiresAt.Time, date, asked)
	default:
		return providers.Token{}, c.invalid("with a token that has no expiry")
	}
	username := out.Username
	if username == "" {
		username = spec.Username
	}
	if username == "" {
		username = claims.user()
	}
	if !isUsername(username) {
		return providers.Token{}, c.invalid("with a token of no user: name one in the identity mapping, or in artifactory.username")
	}
	token := providers.Token{
		Logins:    []providers.Login{{Username: username, Password: providers.Sensitive(out.AccessToken), Hosts: hosts}},
		ExpiresAt: expiresAt,
	}
	if tokenID.MatchString(out.TokenID) {
		token.ID = out.TokenID
	}
	return token, nil
}
