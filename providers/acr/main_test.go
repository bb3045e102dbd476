package acr_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/test/cloud"
)

const (
	host            = "myregistry.azurecr.io"
	application     = "11111111-1111-4111-8111-111111111111"
	managedIdentity = "22222222-2222-4222-8222-222222222222"
	issuer          = "https://cluster.example"
	subject         = "system:serviceaccount:team-a:acr-puller"
	audience        = "api://AzureADTokenExchange"
)

var annotations = map[string]string{"azure.workload.identity/client-id": application, "azure.workload.identity/tenant-id": cloud.AzureTenant}

// startAzure starts a cloud with one registry, one application that the test's ServiceAccount may use, and one system-assigned managed
// identity; both may pull. The environment names no identity.
func startAzure(t *testing.T) *cloud.Azure {
	t.Helper()
	azure, err := cloud.StartAzure(cloud.AzureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = azure.Close() })
	for _, name := range []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT",
		"AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE"} {
		t.Setenv(name, "")
	}
	addRegistry(t, azure, cloud.AzureRegistry{Host: host, Regions: []string{"westeurope", "eastus"}})
	azure.AddApplication(cloud.AzureApplication{ClientID: application, Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: audience}}})
	azure.AssignManagedIdentity(cloud.AzureManagedIdentity{ClientID: managedIdentity, System: true})
	for _, client := range []string{application, managedIdentity} {
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: client, Role: cloud.AzureAcrPull})
	}
	return azure
}

func addRegistry(t *testing.T, azure *cloud.Azure, r cloud.AzureRegistry) {
	t.Helper()
	if err := azure.AddRegistry(r); err != nil {
		t.Fatal(err)
	}
}

func newProvider(t *testing.T, azure *cloud.Azure, extraSuffixes ...string) *acr.Provider {
	t.Helper()
	p, err := acr.New(clock.RealClock{}, acr.Options{ExtraSuffixes: extraSuffixes, Transport: azure.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(spec v1alpha1.ACR, id providers.Identity) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ACR: &spec}, Identity: id}
}

// serviceAccount asks a cluster for its tokens; the audiences asked for are noted.
func serviceAccount(annotations map[string]string, issuer string, audiences *[]string) providers.Identity {
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "acr-puller", UID: "1", Annotations: annotations,
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			if lifetime < 10*time.Minute {
				return "", errors.New("Kubernetes grants no token of less than 10m")
			}
			*audiences = append(*audiences, audience)
			// The API server stamps the token by a clock of its own, which need not be as wrong as ours.
			return cloud.WebIdentityToken(issuer, subject, audience, time.Now().Add(lifetime+time.Hour))
		},
	}}
}

func secret(data map[string]string) providers.Identity {
	return providers.Identity{Secret: &providers.Secret{
		Namespace: "team-a", Name: "principal", DataHash: "1",
		Data: func(context.Context) (map[string][]byte, error) {
			raw := map[string][]byte{}
			for k, v := range data {
				raw[k] = []byte(v)
			}
			return raw, nil
		},
	}}
}

func reason(err error) string {
	known, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return ""
	}
	return known.Reason
}

func retryAfter(err error) time.Duration {
	known, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return 0
	}
	return known.RetryAfter
}

func jwtOf(t *testing.T, issued, expires time.Time) string {
	t.Helper()
	claims := jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(expires)}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
