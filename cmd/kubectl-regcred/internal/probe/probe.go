// Package probe asks a registry whether a login may pull, from where it is called.
package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/verify"
)

// Prober asks registries.
type Prober struct{ trials *verify.Trials }

// New returns a prober that reaches private addresses only if it is allowed to: an image may name any host, and the login goes there.
func New(allowPrivate bool) *Prober { return With(transport(allowPrivate)) }

// transport goes by no proxy where addresses matter: it would see the proxy's, and not the registry's.
func transport(allowPrivate bool) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10 // whose registry it is the image says
	if !allowPrivate {
		dialer := &net.Dialer{Timeout: 10 * time.Second, Control: refusePrivate}
		transport.DialContext, transport.Proxy = dialer.DialContext, nil
	}
	return transport
}

// With returns a prober with a transport.
func With(transport http.RoundTripper) *Prober {
	return &Prober{verify.New(transport, nil)}
}

// Try says what the registry makes of the login.
func (p *Prober) Try(ctx context.Context, login providers.Login, image diagnosis.Image) (providers.Verdict, error) {
	verdict, err := p.trials.Try(ctx, login, providers.Pull{Host: image.Host, Repository: image.Repository, Reference: image.Reference})
	if verdict.Result == providers.PullDenied {
		verdict.Cure = "let the identity of the entry read the repository"
	}
	return verdict, err
}

var errPrivate = errors.New("a private address is reached with --allow-private only")

func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || shared.Contains(ip) {
		return errPrivate
	}
	return nil
}

// shared is the address space of carriers (RFC 6598), where clouds have services of their own.
var shared = netip.MustParsePrefix("100.64.0.0/10")
