package plugin

import (
	"context"
	"testing"
	"time"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/plugins"
)

func TestContract(t *testing.T) {
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			p, aws := startECR(t)
			return p, emulator{aws}
		},
		Request: ecrRequest(plugins.ECR, providers.Identity{}),
		Host:    plugins.ECR,
		Pages:   []string{"plugin.md"},
		Canary:  cloud.Canary,
		Opaque:  true,
	}.Run(t)
}

type emulator struct{ aws *cloud.AWS }

func (e emulator) Break(fault providertest.Fault, retryAfter time.Duration) {
	switch fault {
	case providertest.Throttled:
		e.aws.ECR.Set(cloud.Fault{Throttle: -1, RetryAfter: retryAfter})
	case providertest.ServerError:
		e.aws.ECR.Set(cloud.Fault{Outage: cloud.OutageServerError})
	case providertest.Closed:
		e.aws.ECR.Set(cloud.Fault{Outage: cloud.OutageClosed})
	case providertest.Hung:
		e.aws.ECR.Set(cloud.Fault{Outage: cloud.OutageHang})
	case providertest.Denied:
		if err := e.aws.SetPermissions(e.aws.Ambient().ARN(), false); err != nil {
			panic(err)
		}
	}
}

func (e emulator) SetTokenLife(life time.Duration)     { e.aws.SetTokenLife(life) }
func (e emulator) SetClockOffset(offset time.Duration) { e.aws.SetClockOffset(offset) }
func (e emulator) Calls() int                          { return e.aws.Calls().Of(cloud.ActionGetAuthorizationToken) }

func (e emulator) Pull(ctx context.Context, host string, dockerConfigJSON []byte) error {
	if _, err := e.aws.SeedImage(host, "team/app", "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, e.aws.Transport(), dockerConfigJSON, host+"/team/app:v1")
	return err
}
