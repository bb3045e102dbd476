package ecrpublic_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/ecrpublic"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

func TestContract(t *testing.T) {
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			aws := startAWS(t)
			return ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(nil)), emulator{aws}
		},
		Request:  request(v1alpha1.ECRPublic{}, providers.Identity{}),
		Host:     "127.0.0.1",
		Pages:    []string{"ecrpublic.md", "ecr.md"},
		Canary:   cloud.CanaryECRPublic,
		OwnQuota: true,
	}.Run(t)
}

type emulator struct{ aws *cloud.AWS }

func (e emulator) Break(fault providertest.Fault, retryAfter time.Duration) {
	switch fault {
	case providertest.Throttled:
		e.aws.ECRPublic.Set(cloud.Fault{Throttle: -1, RetryAfter: retryAfter})
	case providertest.ServerError:
		e.aws.ECRPublic.Set(cloud.Fault{Outage: cloud.OutageServerError})
	case providertest.Closed:
		e.aws.ECRPublic.Set(cloud.Fault{Outage: cloud.OutageClosed})
	case providertest.Hung:
		e.aws.ECRPublic.Set(cloud.Fault{Outage: cloud.OutageHang})
	case providertest.Denied:
		if err := e.aws.SetECRPublicPermissions(e.aws.Ambient().ARN(), cloud.ECRPublicPermissions{}); err != nil {
			panic(err)
		}
	}
}

func (e emulator) SetTokenLife(life time.Duration)     { e.aws.SetTokenLife(life) }
func (e emulator) SetClockOffset(offset time.Duration) { e.aws.SetClockOffset(offset) }
func (e emulator) Calls() int                          { return e.aws.Calls().Of(cloud.ActionGetPublicAuthorizationToken) }

func (e emulator) Pull(ctx context.Context, host string, dockerConfigJSON []byte) error {
	return pull(ctx, e.aws, host, dockerConfigJSON)
}

func pull(ctx context.Context, aws *cloud.AWS, host string, dockerConfigJSON []byte) error {
	if _, err := aws.SeedImage(host, "team/app", "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, aws.Transport(), dockerConfigJSON, host+"/team/app:v1")
	return err
}
