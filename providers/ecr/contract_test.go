package ecr_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

func TestContract(t *testing.T) {
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			aws := startAWS(t)
			addRole(t, aws, cloud.Role{ARN: pullRole, MayGetToken: true, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}})
			return ecr.New(clock.RealClock{}, ecr.Configuration(nil)), emulator{aws}
		},
		Request:          request(v1alpha1.ECR{Region: "eu-west-1", Accounts: []string{cloud.DefaultAccount}}, providers.Identity{}),
		AsServiceAccount: request(v1alpha1.ECR{Region: "eu-west-1"}, serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole}, new([]string))),
		Host:             "127.0.0.1",
		Pages:            []string{"ecr.md"},
		Canary:           cloud.Canary,
		OwnQuota:         true,
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
