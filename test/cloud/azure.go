package cloud

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The secrets of Azure, by kind.
const (
	// CanaryEntra starts what Entra gives out: in a claim of its tokens, and the client secrets and keys of managed identities.
	CanaryEntra = canaryPrefix + "entra-"
	// CanaryACR is in a claim of a registry's refresh tokens.
	CanaryACR = canaryPrefix + "acr-"
)

// AzureTenant is the tenant of what names no other.
const AzureTenant = "5b1a2f3c-0d4e-4f60-8a71-92b3c4d5e6f7"

// The authorities of Microsoft Entra, by cloud.
const (
	AzureAuthority           = "login.microsoftonline.com"
	AzureChinaAuthority      = "login.partner.microsoftonline.cn"
	AzureGovernmentAuthority = "login.microsoftonline.us"
)

const azureDefaultTokenLife = 3 * time.Hour

// AzureOptions are the initial settings. The zero value is a healthy cloud on the machine's clock.
type AzureOptions struct {
	// Clock decides when what the cloud issued expires; what others stamped is judged by the machine's, as in Options.
	Clock func() time.Time
	// ClockOffset is by how much every clock of the cloud is ahead of ours.
	ClockOffset time.Duration
	// TokenLife is that of the registries' refresh tokens; it defaults to 3 h.
	TokenLife time.Duration
	// Internet is where the cloud is; nil for one of its own.
	Internet *Internet
}

// Azure is all of Azure's clouds: Entra under its three authorities, the managed identity endpoint of the node that we are on, and the
// registries that have been added. Its methods and fields may be used from any goroutine.
type Azure struct {
	// Entra, Discovery, ManagedIdentity, Exchange and Registry change how each of them misbehaves: Entra's token endpoint and its
	// metadata, the endpoint on the node, the registries' /oauth2/exchange, and everything else of them.
	Entra, Discovery, ManagedIdentity, Exchange, Registry *Faults

	clock     *clock
	tokenLife atomic.Int64
	calls     *callCounter
	tokens    *azureTokens
	registry  *guardedRegistry
	// entraKey and acrKey sign tokens. The real ones use asymmetric keys; nobody but their issuer checks these here.
	entraKey, acrKey []byte
	identityHeader   string

	mu             sync.Mutex
	applications   map[string]AzureApplication
	managed        []AzureManagedIdentity
	registries     map[string]AzureRegistry
	roles          []AzureRoleAssignment
	clouds         map[string]azureCloud // by suffix
	tenantIDs      map[string]string     // by domain
	identityStatus int

	internet *Internet
	// alone is whether internet is this cloud's own.
	alone bool

	entraServer, registryServer, nodeServer *server
}

// StartAzure starts a cloud without registries, applications and managed identities.
func StartAzure(opts AzureOptions) (*Azure, error) {
	a := &Azure{
		Entra: newFaults(Fault{}), Discovery: newFaults(Fault{}), ManagedIdentity: newFaults(Fault{}), Exchange: newFaults(Fault{}), Registry: newFaults(Fault{}),
		clock: newClock(opts.Clock, opts.ClockOffset), calls: newCallCounter(), tokens: newAzureTokens(),
		entraKey: randomData(32), acrKey: randomData(32), identityHeader: newSecret(CanaryEntra, 24),
		applications: map[string]AzureApplication{}, registries: map[string]AzureRegistry{}, clouds: map[string]azureCloud{}, tenantIDs: map[string]string{},
	}
	a.SetTokenLife(opts.TokenLife)
	a.registry = a.azureRegistry()
	if err := a.start(opts.Internet); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Azure) start(internet *Internet) (err error) {
	if a.internet, a.alone, err = joinInternet(internet); err != nil {
		return err
	}
	if a.entraServer, err = startServer(a.entraHandler(), a.internet.ca); err != nil {
		return fmt.Errorf("starting Entra: %w", err)
	}
	if a.registryServer, err = startServer(a.registryHandler(), a.internet.ca); err != nil {
		return fmt.Errorf("starting the registries: %w", err)
	}
	if a.nodeServer, err = azureStartPlain(a.nodeService()); err != nil {
		return fmt.Errorf("starting the node's endpoint: %w", err)
	}
	a.internet.Route(a.route)
	return nil
}

func (a *Azure) route(host string) (string, bool) {
	switch {
	case a.isAuthority(host):
		return a.entraServer.address(), true
	case host == "169.254.169.254":
		return a.nodeServer.address(), true
	}
	_, ok := a.registryAt(host)
	return a.registryServer.address(), ok
}

// azureStartPlain starts a server without TLS, as the metadata services of nodes are.
func azureStartPlain(handler http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing waits for it
	if err != nil {
		return nil, err
	}
	s := &server{
		listener: listener, done: make(chan struct{}),
		http: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)},
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // always http.ErrServerClosed, by close
	}()
	return s, nil
}

// Close ends every connection, hanging calls included.
func (a *Azure) Close() error {
	var errs []error
	for _, s := range []*server{a.entraServer, a.registryServer, a.nodeServer} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	for _, faults := range []*Faults{a.Entra, a.Discovery, a.ManagedIdentity, a.Exchange, a.Registry} {
		faults.Reset()
	}
	if a.alone && a.internet != nil {
		errs = append(errs, a.internet.Close())
	}
	return errors.Join(errs...)
}

// Env is the environment in which the SDK finds the managed identities of the node: as on App Service, since the address of the usual
// endpoint cannot be given another host. Entra and the registries are found by the environment of the Internet.
func (a *Azure) Env() []string {
	return []string{"IDENTITY_ENDPOINT=http://" + a.nodeServer.address() + azureAppServicePath, "IDENTITY_HEADER=" + a.identityHeader}
}

// Internet is where the cloud is.
func (a *Azure) Internet() *Internet { return a.internet }

// Transport trusts the cloud's CA and connects its hosts to their emulators.
func (a *Azure) Transport() *http.Transport { return a.internet.Transport() }

// RegistryAddress is where the registries listen for all their hosts, for runtimes that cannot use Transport.
func (a *Azure) RegistryAddress() string { return a.registryServer.address() }

// SetTokenLife decides on the life of the refresh tokens issued from now on; zero restores the default.
func (a *Azure) SetTokenLife(life time.Duration) {
	if life == 0 {
		life = azureDefaultTokenLife
	}
	a.tokenLife.Store(int64(life))
}

// SetClockOffset sets by how much every clock of the cloud is ahead of ours.
func (a *Azure) SetClockOffset(offset time.Duration) { a.clock.offset.Store(int64(offset)) }

// Calls counts what was called since the start or the last ResetCalls.
func (a *Azure) Calls() Calls { return a.calls.snapshot() }

// ResetCalls sets all counters to zero.
func (a *Azure) ResetCalls() { a.calls.reset() }

// SeedImage stores a tiny image in the registry of host and returns its digest.
func (a *Azure) SeedImage(host, repository, tag string) (digest string, err error) {
	return a.registry.seed(host, repository, tag)
}

// AddCloud adds a cloud that is none of Azure's own: the suffix of its registries, the host of its authority, and their resource.
func (a *Azure) AddCloud(suffix, authority, resource string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clouds[suffix] = azureCloud{authority, resource}
}

// azureCloud is one that a test has added.
type azureCloud struct{ authority, resource string }

func (a *Azure) cloudOf(registry string) (azureCloud, bool) {
	_, suffix, _ := strings.Cut(registry, ".")
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.clouds[suffix]
	return c, ok
}

func (a *Azure) authorityOf(registry string) string {
	if c, ok := a.cloudOf(registry); ok {
		return c.authority
	}
	return azureAuthorityOf(registry)
}

// resourceOf is what a token for a registry is for.
func (a *Azure) resourceOf(registry string) string {
	if c, ok := a.cloudOf(registry); ok {
		return c.resource
	}
	return azureRegistryAudience
}

// isResource says whether there is a resource of this name in any cloud.
func (a *Azure) isResource(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clouds {
		if c.resource == name {
			return true
		}
	}
	return azureAudiences[name]
}

// isAuthority says whether Entra is at the host.
func (a *Azure) isAuthority(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clouds {
		if c.authority == host {
			return true
		}
	}
	return host == AzureAuthority || host == AzureChinaAuthority || host == AzureGovernmentAuthority
}

func azureAuthorityOf(registry string) string {
	switch {
	case strings.HasSuffix(registry, ".azurecr.cn"):
		return AzureChinaAuthority
	case strings.HasSuffix(registry, ".azurecr.us"):
		return AzureGovernmentAuthority
	default:
		return AzureAuthority
	}
}
