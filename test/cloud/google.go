package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// CanaryGoogle starts the access tokens of the emulated Google Cloud.
const CanaryGoogle = canaryPrefix + "google-"

// The project of the emulated Google Cloud, the cluster in it that the metadata server tells of, and the service account whose tokens it
// hands out.
const (
	GoogleProject        = "my-project"
	GoogleClusterName    = "projects/" + GoogleProject + "/locations/europe-west1/clusters/my-cluster"
	GoogleAmbientAccount = "regcred@" + GoogleProject + ".iam.gserviceaccount.com"
)

const googleTokenLife = time.Hour

// GoogleOptions are the initial settings. The zero value is a healthy cloud on the machine's clock.
type GoogleOptions struct {
	// Clock decides when access tokens expire. What others stamped is judged by the machine's clock: ServiceAccounts' tokens and what is
	// signed with a key.
	Clock func() time.Time
	// ClockOffset is by how much every clock of the cloud is ahead of ours.
	ClockOffset time.Duration
	// TokenLife replaces the hour that access tokens live, and the lifetime that is asked for.
	TokenLife time.Duration

	// Internet is where the cloud is; nil for one of its own.
	Internet *Internet
}

// Google is one emulated Google Cloud: the metadata server of a node, the Security Token Service, the OAuth 2.0 token endpoint, the IAM
// Credentials API, the Artifact Registry API and the registries of all locations. Its methods and fields may be used from any goroutine.
type Google struct {
	// These change how each service misbehaves.
	Metadata, STS, OAuth2, IAMCredentials, ArtifactRegistry, Registry *Faults

	clock     *clock
	tokenLife atomic.Int64
	calls     *callCounter
	iam       *googleIAM
	tokens    *googleTokens
	node      *googleNode
	registry  *guardedRegistry

	internet *Internet
	// alone is whether internet is this cloud's own.
	alone bool

	servers  []*server
	metadata *plainServer
}

// StartGoogle starts a cloud with one service account, the ambient one, who may pull everything.
func StartGoogle(opts GoogleOptions) (*Google, error) {
	g := &Google{
		Metadata: newFaults(Fault{}), STS: newFaults(Fault{}), OAuth2: newFaults(Fault{}), IAMCredentials: newFaults(Fault{}),
		ArtifactRegistry: newFaults(Fault{}), Registry: newFaults(Fault{}),
		clock:  newClock(opts.Clock, opts.ClockOffset),
		calls:  newCallCounter(),
		iam:    newGoogleIAM(),
		tokens: newGoogleTokens(),
		node:   &googleNode{cluster: GoogleClusterName},
	}
	g.SetTokenLife(opts.TokenLife)
	g.registry = g.googleRegistry()
	g.AddServiceAccount(GoogleServiceAccount{Email: GoogleAmbientAccount})
	g.SetPull(GoogleMember(GoogleAmbientAccount), "*")
	if err := g.start(opts.Internet); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Google) start(internet *Internet) (err error) {
	if g.internet, g.alone, err = joinInternet(internet); err != nil {
		return err
	}
	addresses := map[string]string{}
	for host, service := range map[string]http.Handler{
		"sts.googleapis.com":              g.stsService(),
		"oauth2.googleapis.com":           g.oauthService(),
		"iamcredentials.googleapis.com":   g.iamCredentialsService(),
		"artifactregistry.googleapis.com": g.artifactRegistryService(),
		"gcr.io":                          g.registry.service(g.Registry, g.calls, g.clock),
	} {
		started, err := startServer(service, g.internet.ca)
		if err != nil {
			return fmt.Errorf("starting %s: %w", host, err)
		}
		g.servers = append(g.servers, started)
		addresses[host] = started.address()
	}
	if g.metadata, err = startPlainServer(g.metadataService()); err != nil {
		return fmt.Errorf("starting the metadata server: %w", err)
	}
	g.internet.Route(func(host string) (string, bool) {
		if _, ok := googleLocation(host); ok {
			return addresses["gcr.io"], true
		}
		// The universe of S3NS has the same services under its own domain.
		if service, ok := strings.CutSuffix(host, ".s3nsapis.fr"); ok {
			host = service + ".googleapis.com"
		}
		address, ok := addresses[host]
		return address, ok
	})
	return nil
}

// Close ends every connection, hanging calls included.
func (g *Google) Close() error {
	var errs []error
	for _, s := range g.servers {
		errs = append(errs, s.close())
	}
	if g.metadata != nil {
		errs = append(errs, g.metadata.close())
	}
	for _, faults := range g.apis() {
		faults.Reset()
	}
	g.Metadata.Reset()
	g.Registry.Reset()
	if g.alone && g.internet != nil {
		errs = append(errs, g.internet.Close())
	}
	return errors.Join(errs...)
}

func (g *Google) apis() []*Faults {
	return []*Faults{g.STS, g.OAuth2, g.IAMCredentials, g.ArtifactRegistry}
}

// SetAPIs makes all APIs misbehave in the same way: neither the metadata server nor the registries.
func (g *Google) SetAPIs(fault Fault) {
	for _, faults := range g.apis() {
		faults.Set(fault)
	}
}

// Env is the environment in which the SDK finds the metadata server, and no other credentials. The rest of the cloud is found by the
// Internet's.
func (g *Google) Env() []string {
	return []string{"GCE_METADATA_HOST=" + g.metadata.address(), "GOOGLE_APPLICATION_CREDENTIALS="}
}

// Internet is where the cloud is.
func (g *Google) Internet() *Internet { return g.internet }

// Transport trusts the cloud's CA and connects its hosts to the emulators.
func (g *Google) Transport() *http.Transport { return g.internet.Transport() }

// SetTokenLife decides on the life of the tokens issued from now on; zero leaves it to the requests again.
func (g *Google) SetTokenLife(life time.Duration) { g.tokenLife.Store(int64(life)) }

// life is that of a token for which this much is asked.
func (g *Google) life(asked time.Duration) time.Duration {
	if life := time.Duration(g.tokenLife.Load()); life != 0 {
		return life
	}
	return asked
}

// SetClockOffset sets by how much every clock of the cloud is ahead of ours.
func (g *Google) SetClockOffset(offset time.Duration) { g.clock.offset.Store(int64(offset)) }

// Calls counts what was called since the start or the last ResetCalls.
func (g *Google) Calls() Calls { return g.calls.snapshot() }

// ResetCalls sets all counters to zero.
func (g *Google) ResetCalls() { g.calls.reset() }

// plainServer is a server without TLS: the metadata server is on the node itself.
type plainServer struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

func startPlainServer(handler http.Handler) (*plainServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &plainServer{
		listener: listener,
		done:     make(chan struct{}),
		http:     &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)},
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // always http.ErrServerClosed, by close
	}()
	return s, nil
}

func (s *plainServer) address() string { return s.listener.Addr().String() }

func (s *plainServer) close() error {
	err := s.http.Close()
	<-s.done
	return err
}
