package acr_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
)

const (
	other        = "33333333-3333-4333-8333-333333333333"
	unknown      = "44444444-4444-4444-8444-444444444444"
	clientSecret = cloud.CanaryEntra + "client-secret"
)

func lastClient(azure *cloud.Azure) string {
	tokens := azure.Tokens()
	return tokens[len(tokens)-1].ClientID
}

func TestTheServiceAccountsApplicationAsks(t *testing.T) {
	const tenant = "88888888-8888-4888-8888-888888888888"
	federated := []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: audience}}
	for name, c := range map[string]struct {
		spec        v1alpha1.ACR
		annotations map[string]string
		environment string
		client      string
	}{
		"workload identity": {annotations: annotations, client: application},
		"the kubelet's annotations go first": {annotations: map[string]string{
			"kubernetes.azure.com/acr-client-id": other, "kubernetes.azure.com/acr-tenant-id": cloud.AzureTenant,
			"azure.workload.identity/client-id": application, "azure.workload.identity/tenant-id": tenant}, client: other},
		"the entry goes before both": {spec: v1alpha1.ACR{ClientID: other, TenantID: cloud.AzureTenant}, annotations: map[string]string{
			"kubernetes.azure.com/acr-client-id": application, "kubernetes.azure.com/acr-tenant-id": tenant,
			"azure.workload.identity/client-id": application, "azure.workload.identity/tenant-id": tenant}, client: other},
		"the controller's tenant is the last": {annotations: map[string]string{"azure.workload.identity/client-id": application},
			environment: cloud.AzureTenant, client: application},
	} {
		t.Run(name, func(t *testing.T) {
			azure := startAzure(t)
			t.Setenv("AZURE_TENANT_ID", c.environment)
			azure.AddApplication(cloud.AzureApplication{ClientID: other, Federated: federated})
			azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
			var audiences []string
			c.spec.Registry = host
			token, err := newProvider(t, azure).Token(t.Context(), request(c.spec, serviceAccount(c.annotations, issuer, &audiences)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{audience}, audiences); diff != "" {
				t.Errorf("audiences asked for (-want +got):\n%s", diff)
			}
			if got := lastClient(azure); got != c.client {
				t.Errorf("the token is %s's", got)
			}
			if token.Logins[0].Username != "00000000-0000-0000-0000-000000000000" || !azure.IsLive(token.Logins[0].Password.Reveal()) {
				t.Error("the login is none of the registry's")
			}
		})
	}
}

func TestAServicePrincipalAsksBySecretOrCertificate(t *testing.T) {
	certificate, pemBytes := newCertificate(t, application)
	base := map[string]string{"AZURE_CLIENT_ID": other, "AZURE_TENANT_ID": cloud.AzureTenant}
	with := func(key, value string) map[string]string {
		data := map[string]string{key: value}
		maps.Copy(data, base)
		return data
	}
	for name, data := range map[string]map[string]string{
		"secret": with("AZURE_CLIENT_SECRET", clientSecret), "certificate": with("AZURE_CLIENT_CERTIFICATE", string(pemBytes)),
	} {
		azure := startAzure(t)
		azure.AddApplication(cloud.AzureApplication{ClientID: other, Secret: clientSecret, Certificate: certificate})
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
		if _, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, secret(data))); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := lastClient(azure); got != other {
			t.Errorf("%s: the token is %s's", name, got)
		}
	}
}

func newCertificate(t *testing.T, name string) (*x509.Certificate, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for kind, block := range map[string][]byte{"CERTIFICATE": der, "PRIVATE KEY": pkcs8} {
		if err := pem.Encode(&out, &pem.Block{Type: kind, Bytes: block}); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, out.Bytes()
}

func TestTheControllersOwnIdentity(t *testing.T) {
	tokenFile := func(t *testing.T) string {
		t.Helper()
		token, err := cloud.WebIdentityToken(issuer, subject, audience, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		spec   v1alpha1.ACR
		env    func(t *testing.T, azure *cloud.Azure) []string
		client string
	}{
		"workload identity": {
			env: func(t *testing.T, _ *cloud.Azure) []string {
				t.Helper()
				return []string{"AZURE_FEDERATED_TOKEN_FILE=" + tokenFile(t), "AZURE_CLIENT_ID=" + application, "AZURE_TENANT_ID=" + cloud.AzureTenant}
			}, client: application},
		"the entry's client goes first": {
			spec: v1alpha1.ACR{ClientID: application, TenantID: cloud.AzureTenant},
			env: func(t *testing.T, _ *cloud.Azure) []string {
				t.Helper()
				return []string{"AZURE_FEDERATED_TOKEN_FILE=" + tokenFile(t), "AZURE_CLIENT_ID=" + unknown, "AZURE_TENANT_ID=" + unknown}
			}, client: application},
		"system-assigned":                   {client: managedIdentity},
		"user-assigned, by the entry":       {spec: v1alpha1.ACR{ClientID: other}, client: other},
		"user-assigned, by the environment": {env: func(*testing.T, *cloud.Azure) []string { return []string{"AZURE_CLIENT_ID=" + other} }, client: other},
		"App Service":                       {env: func(_ *testing.T, azure *cloud.Azure) []string { return azure.Env() }, client: managedIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			azure := startAzure(t)
			azure.AssignManagedIdentity(cloud.AzureManagedIdentity{ClientID: other})
			azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
			if c.env != nil {
				for _, variable := range c.env(t, azure) {
					key, value, _ := strings.Cut(variable, "=")
					t.Setenv(key, value)
				}
			}
			c.spec.Registry = host
			if _, err := newProvider(t, azure).Token(t.Context(), request(c.spec, providers.Identity{})); err != nil {
				t.Fatal(err)
			}
			if got := lastClient(azure); got != c.client {
				t.Errorf("the token is %s's", got)
			}
		})
	}
}

func TestABACRegistriesHonourTheirOwnRole(t *testing.T) {
	for role, want := range map[string]bool{cloud.AzureAcrPull: false, cloud.AzureRepositoryReader: true} {
		azure := startAzure(t)
		addRegistry(t, azure, cloud.AzureRegistry{Host: host, ABAC: true})
		azure.RemoveRoles(host, application)
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: application, Role: role})
		token, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
		if err != nil {
			t.Fatalf("with %s: %v: a token is given whatever it is good for", role, err)
		}
		if got := pull(t, azure, token); (got == nil) != want {
			t.Errorf("with %s: %v", role, got)
		}
	}
}

func pull(t *testing.T, azure *cloud.Azure, token providers.Token) error {
	t.Helper()
	login := token.Logins[0]
	config := `{"auths":{"` + host + `":{"username":"` + login.Username + `","password":"` + login.Password.Reveal() + `"}}}`
	return emulator{azure: azure}.Pull(t.Context(), host, []byte(config))
}
