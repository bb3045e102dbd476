package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// DefaultAccount is the account of the ambient user.
const DefaultAccount = "123456789012"

const defaultTokenLife = 12 * time.Hour

// Options are the initial settings. The zero value is a healthy cloud on the machine's clock.
type Options struct {
	// Clock decides when what the cloud issued (registry tokens, STS sessions) expires. What others stamped is judged by the machine's
	// clock: signatures, since the SDK's clock cannot be injected, and web identity tokens, since the API server's cannot.
	Clock func() time.Time
	// ClockOffset is by how much every clock of the cloud is ahead of ours.
	ClockOffset time.Duration
	// TokenLife defaults to the 12 h of ECR.
	TokenLife time.Duration

	ECR, STS, Registry Fault
	// ECRPublic and PublicRegistry are the faults of ECR Public.
	ECRPublic, PublicRegistry Fault

	// Internet is where the cloud is; nil for one of its own.
	Internet *Internet
}

// AWS is one emulated cloud: all accounts and regions of it. Its methods and fields may be used from any goroutine.
type AWS struct {
	// ECR, STS and Registry change how each of them misbehaves.
	ECR, STS, Registry *Faults
	// ECRPublic and PublicRegistry do so for ECR Public.
	ECRPublic, PublicRegistry *Faults

	clock     *clock
	tokenLife atomic.Int64
	calls     *callCounter
	log       callLog
	refused   refusals
	iam       *iam
	tokens    *tokens
	registry  *guardedRegistry
	ambient   User

	publicTokens   *tokens
	publicRegistry *guardedRegistry

	internet *Internet
	// alone is whether internet is this cloud's own.
	alone bool

	ecrServer, stsServer, registryServer  *server
	ecrPublicServer, publicRegistryServer *server
}

// StartAWS starts a cloud with one user, the ambient one, who may do everything.
func StartAWS(opts Options) (*AWS, error) {
	a := &AWS{
		ECR: newFaults(opts.ECR), STS: newFaults(opts.STS), Registry: newFaults(opts.Registry),
		ECRPublic: newFaults(opts.ECRPublic), PublicRegistry: newFaults(opts.PublicRegistry),
		clock:        newClock(opts.Clock, opts.ClockOffset),
		calls:        newCallCounter(),
		iam:          newIAM(),
		tokens:       newTokens(Canary),
		publicTokens: newTokens(CanaryECRPublic),
		ambient: User{
			Account: DefaultAccount, Name: "regcred",
			AccessKeyID: "AKIA" + newKeyID(), SecretAccessKey: newSecret(CanarySTS, 24),
			MayGetToken: true, Pull: []string{"*"}, Public: ECRPublicPermissions{MayGetToken: true, MayGetServiceBearerToken: true},
		},
	}
	a.SetTokenLife(opts.TokenLife)
	a.registry = a.ecrRegistry()
	a.publicRegistry = a.ecrPublicRegistry()
	a.AddUser(a.ambient)
	if err := a.start(opts.Internet); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *AWS) start(internet *Internet) (err error) {
	if a.internet, a.alone, err = joinInternet(internet); err != nil {
		return err
	}
	if a.ecrServer, err = startServer(a.ecrService(), a.internet.ca); err != nil {
		return fmt.Errorf("starting ECR: %w", err)
	}
	if a.stsServer, err = startServer(a.stsService(), a.internet.ca); err != nil {
		return fmt.Errorf("starting STS: %w", err)
	}
	if a.registryServer, err = startServer(a.registry.service(a.Registry, a.calls, a.clock), a.internet.ca); err != nil {
		return fmt.Errorf("starting the registry: %w", err)
	}
	a.routeAPIs()
	if err := a.startECRPublic(); err != nil {
		return err
	}
	a.internet.Route(func(host string) (string, bool) {
		_, _, ok := parseECRHost(host)
		return a.registryServer.address(), ok
	})
	return nil
}

// Close ends every connection, hanging calls included.
func (a *AWS) Close() error {
	var errs []error
	for _, s := range []*server{a.ecrServer, a.stsServer, a.registryServer, a.ecrPublicServer, a.publicRegistryServer} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	for _, faults := range []*Faults{a.ECR, a.STS, a.Registry, a.ECRPublic, a.PublicRegistry} {
		faults.Reset()
	}
	if a.alone && a.internet != nil {
		errs = append(errs, a.internet.Close())
	}
	return errors.Join(errs...)
}

// ECRURL is for AWS_ENDPOINT_URL_ECR.
func (a *AWS) ECRURL() string { return a.ecrServer.url() }

// STSURL is for AWS_ENDPOINT_URL_STS.
func (a *AWS) STSURL() string { return a.stsServer.url() }

// RegistryAddress is where the registry listens for all its hosts, for runtimes that cannot use Transport.
func (a *AWS) RegistryAddress() string { return a.registryServer.address() }

// Env is the environment in which the SDK finds this cloud, as the ambient user. It names no region.
func (a *AWS) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL_ECR=" + a.ECRURL(),
		"AWS_ENDPOINT_URL_ECR_PUBLIC=" + a.ECRPublicURL(),
		"AWS_ENDPOINT_URL_STS=" + a.STSURL(),
		"AWS_CA_BUNDLE=" + a.internet.caPath,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + a.ambient.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + a.ambient.SecretAccessKey,
	}
}

// Ambient is the user whose access key Env holds.
func (a *AWS) Ambient() User { return a.ambient }

// Internet is where the cloud is.
func (a *AWS) Internet() *Internet { return a.internet }

// Transport trusts the cloud's CA and connects every registry host to the emulated registry, so that clients use the real names.
func (a *AWS) Transport() *http.Transport { return a.internet.Transport() }

// SetTokenLife decides on the life of the tokens issued from now on; zero restores the default.
func (a *AWS) SetTokenLife(life time.Duration) {
	if life == 0 {
		life = defaultTokenLife
	}
	a.tokenLife.Store(int64(life))
}

// SetClockOffset sets by how much every clock of the cloud is ahead of ours.
func (a *AWS) SetClockOffset(offset time.Duration) { a.clock.offset.Store(int64(offset)) }
