// Package verify tries tokens at their registry, as a container runtime would, and shows them to nobody else.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

const (
	// timeout bounds a trial with all its round trips.
	timeout = 10 * time.Second
	// anyReference is asked for when a token is new; whether it exists does not matter.
	anyReference = "latest"
)

// Trials tries tokens.
type Trials struct {
	next   http.RoundTripper
	realms Realms
}

// New returns Trials that make their requests through the transport; nil is one that honours the proxy of the environment. realms are those
// that the administrator allows besides the ones that everybody knows.
func New(rt http.RoundTripper, realms Realms) *Trials {
	return &Trials{next: outbound.Client(rt).Transport, realms: realms}
}

// Pick chooses what a new token is tried with, as the entry's verify asks.
func (t *Trials) Pick(req providers.Request, token providers.Token) (providers.Login, providers.Pull, error) {
	host, login, err := verifiedHost(req, token)
	if err != nil {
		return providers.Login{}, providers.Pull{}, err
	}
	pull := providers.Pull{Host: host.String(), Repository: req.Registry.Verify.Repository, Reference: anyReference}
	if _, err := name.NewRepository(pull.Host+"/"+pull.Repository, name.StrictValidation); err != nil {
		return providers.Login{}, providers.Pull{}, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"verify.repository is no repository of %s: correct it", host)
	}
	return login, pull, nil
}

// verifiedHost is the host to try the token at, and what to show there.
func verifiedHost(req providers.Request, token providers.Token) (registryhost.Host, providers.Login, error) {
	want := string(req.Registry.Verify.Host)
	for _, l := range token.Logins {
		for _, text := range l.Hosts {
			if want != "" && text != want {
				continue
			}
			if host, err := registryhost.Parse(text); err == nil {
				return host, l, nil
			}
		}
	}
	if want == "" {
		return registryhost.Host{}, providers.Login{}, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"none of the hosts of the entry (%s) can be tried: leave verify out, or name a host without pattern and path", strings.Join(token.Hosts(), ", "))
	}
	return registryhost.Host{}, providers.Login{}, providers.Errorf(v1alpha1.ReasonInvalidRequest,
		"verify.host %q is none of the hosts of the entry (%s): correct it, or leave it out", want, strings.Join(token.Hosts(), ", "))
}

// Try shows the login to the registry that it is for. An error says nothing of the login.
//
// What tells a bad login from one that may not pull is the protocol's own way of logging in: the words and even the status of a refusal
// differ between registries. ECR, for one, answers 403 and DENIED to an expired token.
func (t *Trials) Try(ctx context.Context, login providers.Login, pull providers.Pull) (providers.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host, err := registryhost.Parse(pull.Host)
	if err != nil {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the image's registry cannot be asked")
	}
	repository, err := name.NewRepository(host.String()+"/"+pull.Repository, name.WeakValidation)
	if err != nil {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the image is no repository of %s", host)
	}
	g := &guard{next: t.next, registry: plain(repository.RegistryStr()), realms: t.realms}
	err = g.pull(ctx, login, repository, pull.Reference)
	if err == nil {
		return providers.Verdict{Result: providers.PullAllowed}, nil
	}
	if !g.refuses(err) {
		return providers.Verdict{}, g.undecided(host, err)
	}
	verdict := providers.Verdict{Result: providers.PullDenied, Answer: answerOf(err)}
	err = g.ping(ctx, login, repository.Registry)
	switch {
	case err == nil:
	case g.refuses(err):
		verdict.Result = providers.LoginRefused
	default:
		return providers.Verdict{}, g.undecided(host, err)
	}
	return verdict, nil
}

// pull asks for a manifest as a container runtime would.
func (g *guard) pull(ctx context.Context, login providers.Login, repository name.Repository, reference string) error {
	authorized, err := g.logIn(ctx, login, repository.Registry, repository.Scope(transport.PullScope))
	if err != nil {
		return err
	}
	url := fmt.Sprintf("https://%s/v2/%s/manifests/%s", repository.RegistryStr(), repository.RepositoryStr(), reference)
	err = manifest(ctx, authorized, http.MethodHead, url)
	if isRefusal(err) {
		// The answer to HEAD has no body, and so no code; that to GET has.
		err = manifest(ctx, authorized, http.MethodGet, url)
	}
	return err
}

// ping logs in for nothing in particular.
func (g *guard) ping(ctx context.Context, login providers.Login, registry name.Registry) error {
	authorized, err := g.logIn(ctx, login, registry)
	if err != nil {
		return err
	}
	return manifest(ctx, authorized, http.MethodGet, "https://"+registry.RegistryStr()+"/v2/")
}

// logIn returns a transport that shows the login to the registry, or what its token endpoint gives for it.
func (g *guard) logIn(ctx context.Context, login providers.Login, registry name.Registry, scopes ...string) (http.RoundTripper, error) {
	auth := &authn.Basic{Username: login.Username, Password: login.Password.Reveal()}
	return transport.NewWithContext(ctx, registry, auth, g, scopes)
}

var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1), string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// manifest asks for a manifest. That there is none is no error: the registry has looked.
func manifest(ctx context.Context, rt http.RoundTripper, method, url string) error {
	r, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", manifestTypes)
	res, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	defer func() { _, _ = io.Copy(io.Discard, res.Body) }() // so that the connection can be used again
	return transport.CheckError(res, http.StatusOK, http.StatusNotFound)
}

func isRefusal(err error) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden)
}

// code is an error code as the distribution specification has them; anything else may be anything.
var code = regexp.MustCompile(`^[A-Z][A-Z_]{0,39}$`)

// answerOf is a refusal in short.
func answerOf(err error) string {
	answer, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return "no answer"
	}
	why := fmt.Sprintf("HTTP status %d", answer.StatusCode)
	known := func(d transport.Diagnostic) bool { return code.MatchString(string(d.Code)) }
	if i := slices.IndexFunc(answer.Errors, known); i >= 0 {
		why += ", " + string(answer.Errors[i].Code)
	}
	return why
}

// undecided is why a trial says nothing of the login, in no words of whoever answered.
func (g *guard) undecided(host registryhost.Host, err error) *providers.Error {
	if g.foreign != "" {
		return providers.Errorf(v1alpha1.ReasonUnavailable, "%s wants logins to be shown to %s, which is another host: "+
			"an administrator can allow that by --registry-realms=%s=%s", host, g.foreign, g.registry, g.foreign)
	}
	if isRefusal(err) {
		return providers.Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token may pull: HTTP status %d is no "+
			"answer about the login; a firewall or a proxy in between may have sent it", host, statusOf(err))
	}
	failure := providers.Errorf(v1alpha1.ReasonUnavailable, "%s could not be asked whether the token may pull", host)
	dns, unresolved := errors.AsType[*net.DNSError](err)
	if status := statusOf(err); status >= http.StatusInternalServerError || status == http.StatusTooManyRequests ||
		status == 0 && !errors.Is(err, errRedirect) && !errors.Is(err, outbound.ErrForbiddenAddress) && (!unresolved || !dns.IsNotFound) {
		failure.Scope = providers.ScopeEndpoint
	}
	return failure
}

// statusOf is the status of the registry's answer; 0 if there is none.
func statusOf(err error) int {
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return answer.StatusCode
	}
	return 0
}
