package acr_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

// counted counts the requests that leave the provider.
type counted struct {
	next     http.RoundTripper
	requests atomic.Int32
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.next.RoundTrip(r)
}

func TestNoTokenLeavesForAHostileHost(t *testing.T) {
	azure := startAzure(t)
	wire := &counted{next: azure.Transport()}
	p, err := acr.New(clock.RealClock{}, acr.Options{Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	var audiences []string
	identities := map[string]providers.Identity{
		"ServiceAccount": serviceAccount(annotations, issuer, &audiences), "ambient": {},
		"Secret": secret(map[string]string{"AZURE_CLIENT_ID": application, "AZURE_TENANT_ID": cloud.AzureTenant, "AZURE_CLIENT_SECRET": cloud.CanaryEntra + "x"}),
	}
	hostile := append(providertest.HostileHosts("myregistry", "azurecr.io"), host+":443", host+":5000", "myregistry.westeurope.geo.azurecr.io",
		"myregistry.azurecr.io.azurecr.io", "myregistry.azurecr.de", "azurecr.io", "myregistry.blob.core.windows.net")
	if len(hostile) < 300 {
		t.Errorf("%d hosts only", len(hostile))
	}
	for _, text := range hostile {
		for name, id := range identities {
			_, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: v1alpha1.Host(text)}, id))
			if reason(err) != v1alpha1.ReasonInvalidRequest || !terminal(err) || !strings.Contains(err.Error(), "--acr-host-suffixes") {
				t.Errorf("%q with %s: %v", text, name, err)
			}
		}
	}
	if wire.requests.Load() != 0 || len(audiences) != 0 || len(azure.Calls()) != 0 {
		t.Errorf("%d requests were sent, %d tokens of a ServiceAccount asked for, %d calls made", wire.requests.Load(), len(audiences), len(azure.Calls()))
	}
	if _, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: host}, identities["ServiceAccount"])); err != nil || wire.requests.Load() != 3 {
		t.Errorf("the good host: %v after %d requests", err, wire.requests.Load())
	}
}

func terminal(err error) bool {
	failure, ok := errors.AsType[*providers.Error](err)
	return ok && failure.Terminal
}

func TestEachCloudHasItsOwnAuthority(t *testing.T) {
	for registry, c := range map[string]struct {
		suffixes                        []string
		authority, audience, regionHost string
	}{
		"reg.azurecr.io": {authority: cloud.AzureAuthority, audience: audience, regionHost: "reg.westeurope.geo.azurecr.io"},
		"reg.azurecr.cn": {authority: cloud.AzureChinaAuthority, audience: audience + "China", regionHost: "reg.westeurope.geo.azurecr.cn"},
		"reg.azurecr.us": {authority: cloud.AzureGovernmentAuthority, audience: audience + "USGov", regionHost: "reg.westeurope.geo.azurecr.us"},
		"reg.registries.example": {suffixes: []string{"other.example", ".registries.example"},
			authority: cloud.AzureAuthority, audience: audience, regionHost: "reg.westeurope.geo.registries.example"},
	} {
		t.Run(registry, func(t *testing.T) {
			azure := startAzure(t)
			if c.suffixes == nil {
				t.Setenv("AZURE_AUTHORITY_HOST", "https://login.private.example") // is for the administrator's suffixes alone
			}
			addRegistry(t, azure, cloud.AzureRegistry{Host: registry, Regions: []string{"westeurope"}})
			azure.AddApplication(cloud.AzureApplication{ClientID: application, Authority: c.authority,
				Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: c.audience}}})
			azure.AssignRole(cloud.AzureRoleAssignment{Registry: registry, ClientID: application, Role: cloud.AzureAcrPull})
			var audiences []string
			token, err := newProvider(t, azure, c.suffixes...).Token(t.Context(),
				request(v1alpha1.ACR{Registry: v1alpha1.Host(registry), Regions: []string{"westeurope"}}, serviceAccount(annotations, issuer, &audiences)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{registry, c.regionHost}, token.Hosts()); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{c.audience}, audiences); diff != "" {
				t.Errorf("audiences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheAuthorityOfAnExtraSuffixIsTheEnvironments(t *testing.T) {
	const registry = "reg.registries.example"
	azure := startAzure(t)
	addRegistry(t, azure, cloud.AzureRegistry{Host: registry})
	for authority, want := range map[string]struct{ reason, audience string }{
		"https://login.microsoftonline.us":  {v1alpha1.ReasonInvalidRequest, audience + "USGov"}, // the emulated tenant is in the public cloud
		"https://login.microsoftonline.us/": {v1alpha1.ReasonInvalidRequest, audience + "USGov"},
		"https://login.microsoftonline.com": {v1alpha1.ReasonAccessDenied, audience}, // no role on this registry
		"https://login.private.example":     {v1alpha1.ReasonUnavailable, audience},
		"http://login.microsoftonline.com":  {v1alpha1.ReasonInvalidRequest, ""},
		"login.microsoftonline.com":         {v1alpha1.ReasonInvalidRequest, ""},
	} {
		t.Setenv("AZURE_AUTHORITY_HOST", authority)
		var audiences []string
		_, err := newProvider(t, azure, "registries.example").Token(t.Context(),
			request(v1alpha1.ACR{Registry: registry}, serviceAccount(annotations, issuer, &audiences)))
		if reason(err) != want.reason || strings.Join(audiences, " ") != want.audience {
			t.Errorf("%s: %v, audiences %q", authority, err, audiences)
		}
	}
}

func TestASuffixMustBeOne(t *testing.T) {
	for _, suffix := range []string{"", ".", "io", ".io", "*.example.com", "example.com:443", "Example.com", "https://example.com", "example.com/", "..example.com", "a b.c"} {
		if _, err := acr.New(clock.RealClock{}, acr.Options{ExtraSuffixes: []string{suffix}}); err == nil || !strings.Contains(err.Error(), "--acr-host-suffixes") {
			t.Errorf("%q: %v", suffix, err)
		}
	}
}
