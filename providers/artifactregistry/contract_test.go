package artifactregistry_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

// The metadata server repeats its tokens, and a federated token ends with its subject's. So the contract is that of a service account
// that a ServiceAccount impersonates.
func TestContract(t *testing.T) {
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{pool.Member(subject)}})
			google.SetPull(cloud.GoogleMember(puller), "*")
			return newProvider(t, clock.RealClock{}, google.Transport()), emulator{google}
		},
		Request: request(v1alpha1.ArtifactRegistry{
			Hosts: []string{"europe-west1-docker.pkg.dev", "us-docker.pkg.dev", "gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io"}, WorkloadIdentityProvider: pool.Name, ServiceAccount: puller,
		}, serviceAccount(nil, new([]string))),
		Host:     "sts.googleapis.com and iamcredentials.googleapis.com",
		OwnQuota: true,
		Pages:    []string{"artifactregistry.md"},
		Canary:   cloud.CanaryGoogle,
	}.Run(t)
}

type emulator struct{ google *cloud.Google }

func (e emulator) Break(fault providertest.Fault, retryAfter time.Duration) {
	switch fault {
	case providertest.Throttled:
		e.google.IAMCredentials.Set(cloud.Fault{Throttle: -1, RetryAfter: retryAfter})
	case providertest.ServerError:
		e.google.IAMCredentials.Set(cloud.Fault{Outage: cloud.OutageServerError})
	case providertest.Closed:
		e.google.IAMCredentials.Set(cloud.Fault{Outage: cloud.OutageClosed})
	case providertest.Hung:
		e.google.IAMCredentials.Set(cloud.Fault{Outage: cloud.OutageHang})
	case providertest.Denied:
		e.google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller})
	}
}

func (e emulator) SetTokenLife(life time.Duration)     { e.google.SetTokenLife(life) }
func (e emulator) SetClockOffset(offset time.Duration) { e.google.SetClockOffset(offset) }
func (e emulator) Calls() int                          { return e.google.Calls().Of(cloud.ActionGenerateAccessToken) }

func (e emulator) Pull(ctx context.Context, host string, dockerConfigJSON []byte) error {
	const image = cloud.GoogleProject + "/apps/app"
	if _, err := e.google.SeedImage(host, image, "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, e.google.Transport(), dockerConfigJSON, host+"/"+image+":v1")
	return err
}
