// Package verify tries tokens at their registry, as a container runtime would, and shows them to nobody else.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

const (
	// verifyTimeout bounds a trial with all its round trips.
	verifyTimeout = 10 * time.Second
	// verifyReference is asked for; whether it exists does not matter.
	verifyReference = "latest"
)

// Verifier tries the tokens of a provider before anybody gets them, if the entry asks for it. It decorates providers, so that neither
// they nor the Broker know of it.
type Verifier struct {
	providers.Provider
	// Transport makes the requests to registries; nil for one that honours the proxy of the environment.
	Transport http.RoundTripper
	// Observe is told how each trial ended; nil for nobody.
	Observe func(result string)
}

// The results of a trial.
const (
	verifyProven  = "proven"
	verifyRefused = "refused"
	verifyUnknown = "unknown"
)

// Token mints a token and tries it. A token that the registry refuses is an error; one that could not be tried is not, for the registry's
// trouble must not become that of the pods.
func (v *Verifier) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	token, err := v.Provider.Token(ctx, req)
	if err != nil || req.Registry.Verify == nil {
		return token, err
	}
	refusal, err := v.try(ctx, req, token)
	switch {
	case refusal != nil:
		v.observe(verifyRefused)
		return providers.Token{}, refusal
	case err != nil:
		v.observe(verifyUnknown)
		token.Verified = metav1.ConditionUnknown
	default:
		v.observe(verifyProven)
		token.Verified = metav1.ConditionTrue
	}
	return token, nil
}

// Revoke implements Revoker if the provider does.
func (v *Verifier) Revoke(ctx context.Context, req providers.Request, id string) error {
	return providers.Revoke(ctx, v.Provider, req, id)
}

func (v *Verifier) observe(result string) {
	if v.Observe != nil {
		v.Observe(result)
	}
}

// try asks the registry for a manifest as a container runtime would. A refusal condemns the token; any other error says nothing of it.
func (v *Verifier) try(ctx context.Context, req providers.Request, token providers.Token) (refusal *providers.Error, err error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	host, login, refusal := verifiedHost(req, token)
	if refusal != nil {
		return refusal, nil
	}
	repository, err := name.NewRepository(host.String()+"/"+req.Registry.Verify.Repository, name.StrictValidation)
	if err != nil {
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "verify.repository is no repository of %s: correct it", host), nil
	}
	if err = v.pull(ctx, login, repository, verifyReference); err != nil {
		return refusedBy(err, req, host)
	}
	return nil, nil
}

// pull asks for a manifest as a container runtime would.
func (v *Verifier) pull(ctx context.Context, login providers.Login, repository name.Repository, reference string) error {
	authorized, err := v.logIn(ctx, login, repository.Registry, repository.Scope(transport.PullScope))
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

// logIn returns a transport that shows the login to the registry, or what its token endpoint gives for it.
func (v *Verifier) logIn(ctx context.Context, login providers.Login, registry name.Registry, scopes ...string) (http.RoundTripper, error) {
	guarded := guard{outbound.Client(v.Transport).Transport, registry.RegistryStr()}
	auth := &authn.Basic{Username: login.Username, Password: login.Password.Reveal()}
	return transport.NewWithContext(ctx, registry, auth, guarded, scopes)
}

// verifiedHost is the host to try the token at, and what to show there.
func verifiedHost(req providers.Request, token providers.Token) (registryhost.Host, providers.Login, *providers.Error) {
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

// refusedBy explains a refusal in the registry's own code, and hands on every other error.
func refusedBy(err error, req providers.Request, host registryhost.Host) (*providers.Error, error) {
	if !isRefusal(err) {
		return nil, err
	}
	provider, _ := req.Registry.Provider()
	return providers.Errorf(v1alpha1.ReasonVerificationFailed, "the new token may not pull %s/%s (%s), so it is not published: %s",
		host, req.Registry.Verify.Repository, answerOf(err), allow[provider]), nil
}

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

// allow is how a pull is allowed, by provider.
var allow = map[string]string{
	"ecr":              "allow the identity ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository, and in the repository's policy if it is another account's",
	"ecrPublic":        "check that the repository is public",
	"artifactRegistry": "grant the identity roles/artifactregistry.reader on the repository",
	"acr":              "grant the identity AcrPull on the registry or, if the registry's role assignment mode is RBAC with ABAC repository permissions, Container Registry Repository Reader",
	"artifactory":      "let a group of the token's user read the repository",
	"static":           "let the Secret's user read the repository, or replace the credentials",
	"plugin":           "let the plugin's identity read the repository",
}

// realms are token endpoints on another host than their registry's. A registry's challenge may send credentials to its own host and to
// these, and nowhere else.
var realms = map[string][]string{
	name.DefaultRegistry:  {"auth.docker.io"},
	"registry.gitlab.com": {"gitlab.com"},
}

var (
	errForeignRealm = errors.New("the registry's challenge leads to another host")
	errRedirect     = errors.New("the registry redirects")
)

// guard lets requests through to the registry and to its token endpoint, over TLS, and no redirect back.
type guard struct {
	next     http.RoundTripper
	registry string
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Host != g.registry && !slices.Contains(realms[g.registry], r.URL.Host) {
		return nil, errForeignRealm
	}
	res, err := g.next.RoundTrip(r)
	if err == nil && res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Body.Close()
		return nil, errRedirect
	}
	return res, err
}
