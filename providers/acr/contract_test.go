package acr_test

import (
	"context"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

// The contract holds whatever fails: Entra or the registry for a ServiceAccount, the node's endpoint for the controller's own identity.
func TestContract(t *testing.T) {
	byServiceAccount := request(v1alpha1.ACR{Registry: host, Regions: []string{"westeurope"}}, serviceAccount(annotations, issuer, new([]string)))
	for name, c := range map[string]struct {
		request  providers.Request
		faults   func(*cloud.Azure) *cloud.Faults
		action   string
		ownQuota bool
	}{
		"Entra":            {byServiceAccount, func(a *cloud.Azure) *cloud.Faults { return a.Entra }, cloud.ActionEntraToken, true},
		"Entra's metadata": {byServiceAccount, func(a *cloud.Azure) *cloud.Faults { return a.Discovery }, cloud.ActionEntraDiscovery, true},
		"exchange":         {byServiceAccount, func(a *cloud.Azure) *cloud.Faults { return a.Exchange }, cloud.ActionACRExchange, false},
		"managed identity": {
			request(v1alpha1.ACR{Registry: host}, providers.Identity{}),
			func(a *cloud.Azure) *cloud.Faults { return a.ManagedIdentity }, cloud.ActionManagedIdentity, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Contract{
				New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
					t.Helper()
					azure := startAzure(t)
					return newProvider(t, azure), emulator{azure, c.faults(azure), c.action}
				},
				Request:  c.request,
				Host:     host,
				OwnQuota: c.ownQuota,
				Pages:    []string{"acr.md"},
				Canary:   cloud.CanaryEntra,
			}.Run(t)
		})
	}
}

type emulator struct {
	azure  *cloud.Azure
	faults *cloud.Faults
	action string
}

func (e emulator) Break(fault providertest.Fault, retryAfter time.Duration) {
	switch fault {
	case providertest.Throttled:
		e.faults.Set(cloud.Fault{Throttle: -1, RetryAfter: retryAfter})
	case providertest.ServerError:
		e.faults.Set(cloud.Fault{Outage: cloud.OutageServerError})
	case providertest.Closed:
		e.faults.Set(cloud.Fault{Outage: cloud.OutageClosed})
	case providertest.Hung:
		e.faults.Set(cloud.Fault{Outage: cloud.OutageHang})
	case providertest.Denied:
		e.azure.RemoveRoles(host, application)
		e.azure.RemoveRoles(host, managedIdentity)
	}
}

func (e emulator) SetTokenLife(life time.Duration)     { e.azure.SetTokenLife(life) }
func (e emulator) SetClockOffset(offset time.Duration) { e.azure.SetClockOffset(offset) }
func (e emulator) Calls() int                          { return e.azure.Calls().Of(e.action) }

func (e emulator) Pull(ctx context.Context, registry string, dockerConfigJSON []byte) error {
	if _, err := e.azure.SeedImage(registry, "team/app", "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, e.azure.Transport(), dockerConfigJSON, registry+"/team/app:v1")
	return err
}
