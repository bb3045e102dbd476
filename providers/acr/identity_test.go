package acr_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

func TestBadIdentitiesAreExplained(t *testing.T) {
	certificate, ours := newCertificate(t, "ours")
	_, theirs := newCertificate(t, "theirs")
	annotated := func(client, tenant string) providers.Identity {
		return serviceAccount(map[string]string{"azure.workload.identity/client-id": client, "azure.workload.identity/tenant-id": tenant}, issuer, new([]string))
	}
	principal := func(keysAndValues ...string) providers.Identity {
		data := map[string]string{"AZURE_CLIENT_ID": other, "AZURE_TENANT_ID": cloud.AzureTenant}
		for i := 0; i < len(keysAndValues); i += 2 {
			data[keysAndValues[i]] = keysAndValues[i+1]
		}
		return secret(data)
	}
	for name, c := range map[string]struct {
		identity providers.Identity
		reason   string
		says     []string
	}{
		"no client ID":        {annotated("", cloud.AzureTenant), v1alpha1.ReasonIdentityInvalid, []string{"ServiceAccount team-a/acr-puller", "azure.workload.identity/client-id"}},
		"no tenant ID":        {annotated(application, ""), v1alpha1.ReasonIdentityInvalid, []string{"azure.workload.identity/tenant-id"}},
		"client ID of no use": {annotated("../"+application, cloud.AzureTenant), v1alpha1.ReasonIdentityInvalid, []string{"not a UUID"}},
		"tenant ID of no use": {annotated(application, "a/../b"), v1alpha1.ReasonIdentityInvalid, []string{"neither a UUID nor a domain"}},
		"unknown application": {annotated(unknown, cloud.AzureTenant), v1alpha1.ReasonAccessDenied, []string{"AADSTS700016", "no such application"}},
		"disabled":            {annotated("55555555-5555-4555-8555-555555555555", cloud.AzureTenant), v1alpha1.ReasonAccessDenied, []string{"AADSTS7000112"}},
		"unknown tenant":      {annotated(application, unknown), v1alpha1.ReasonInvalidRequest, []string{"AADSTS90002", "no such tenant"}},
		"issuer not trusted": {serviceAccount(annotations, "https://other.example", new([]string)), v1alpha1.ReasonAccessDenied,
			[]string{"AADSTS700211", subject, audience, "issuer"}},
		"subject not trusted":       {annotated("66666666-6666-4666-8666-666666666666", cloud.AzureTenant), v1alpha1.ReasonAccessDenied, []string{"AADSTS700213", subject}},
		"audience not trusted":      {annotated("77777777-7777-4777-8777-777777777777", cloud.AzureTenant), v1alpha1.ReasonAccessDenied, []string{"AADSTS700212", audience}},
		"wrong secret":              {principal("AZURE_CLIENT_SECRET", cloud.CanaryEntra+"wrong"), v1alpha1.ReasonAccessDenied, []string{"AADSTS7000215", "AZURE_CLIENT_SECRET"}},
		"unknown certificate":       {principal("AZURE_CLIENT_CERTIFICATE", string(theirs)), v1alpha1.ReasonAccessDenied, []string{"AADSTS700027", "AZURE_CLIENT_CERTIFICATE"}},
		"no certificate":            {principal("AZURE_CLIENT_CERTIFICATE", clientSecret), v1alpha1.ReasonIdentityInvalid, []string{"RSA key", "PEM"}},
		"key of another kind":       {principal("AZURE_CLIENT_CERTIFICATE", ellipticCertificate(t)), v1alpha1.ReasonIdentityInvalid, []string{"RSA key"}},
		"enormous key":              {principal("AZURE_CLIENT_CERTIFICATE", strings.Repeat("A", 9<<10)), v1alpha1.ReasonIdentityInvalid, []string{"a private key of more than 8192 bits"}},
		"neither":                   {principal(), v1alpha1.ReasonIdentityInvalid, []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE", "add one"}},
		"Secret without client ID":  {principal("AZURE_CLIENT_ID", ""), v1alpha1.ReasonIdentityInvalid, []string{"AZURE_CLIENT_ID", "acr.clientID"}},
		"Secret without tenant ID":  {principal("AZURE_TENANT_ID", ""), v1alpha1.ReasonIdentityInvalid, []string{"AZURE_TENANT_ID", "acr.tenantID"}},
		"Secret with bad client ID": {principal("AZURE_CLIENT_ID", "x"), v1alpha1.ReasonIdentityInvalid, []string{"Secret team-a/principal", "not a UUID"}},
		"certificate of its own":    {principal("AZURE_CLIENT_CERTIFICATE", string(ours)), v1alpha1.ReasonAccessDenied, []string{"HTTP status 401", "AcrPull"}}, // no role
	} {
		t.Run(name, func(t *testing.T) {
			azure := startAzure(t)
			credential := cloud.AzureFederatedCredential{Issuer: issuer, Subject: subject, Audience: audience}
			azure.AddApplication(cloud.AzureApplication{ClientID: other, Secret: clientSecret, Certificate: certificate})
			azure.AddApplication(cloud.AzureApplication{ClientID: "55555555-5555-4555-8555-555555555555", Disabled: true, Federated: []cloud.AzureFederatedCredential{credential}})
			credential.Subject = "system:serviceaccount:team-b:acr-puller"
			azure.AddApplication(cloud.AzureApplication{ClientID: "66666666-6666-4666-8666-666666666666", Federated: []cloud.AzureFederatedCredential{credential}})
			credential.Subject, credential.Audience = subject, "other"
			azure.AddApplication(cloud.AzureApplication{ClientID: "77777777-7777-4777-8777-777777777777", Federated: []cloud.AzureFederatedCredential{credential}})
			_, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, c.identity))
			checkFailure(t, err, c.reason, c.says...)
		})
	}
}

func ellipticCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// checkFailure proves the reason and the words of an error, and that it shows no secret and can be read.
func checkFailure(t *testing.T, err error, wantReason string, says ...string) {
	t.Helper()
	providertest.Documented(t, err, "acr.md")
	if reason(err) != wantReason {
		t.Fatalf("got %s (%v), want %s", reason(err), err, wantReason)
	}
	for _, words := range says {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	if cloud.ContainsCanary([]byte(err.Error())) || strings.Contains(err.Error(), "Trace ID") || strings.Contains(err.Error(), "?") {
		t.Error("the error shows a secret or what the service wrote")
	}
	if len(err.Error()) > 600 {
		t.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func TestNoIdentityIsExplained(t *testing.T) {
	azure := startAzure(t)
	for name, c := range map[string]struct {
		env    map[string]string
		spec   v1alpha1.ACR
		status int
		reason string
		says   []string
	}{
		"nothing on the node":         {env: map[string]string{"IDENTITY_ENDPOINT": "http://127.0.0.1:1", "IDENTITY_HEADER": "x"}, reason: v1alpha1.ReasonIdentityNotFound, says: []string{"no Azure identity of its own", "workload identity"}},
		"wrong header":                {env: map[string]string{"IDENTITY_ENDPOINT": strings.TrimPrefix(azure.Env()[0], "IDENTITY_ENDPOINT="), "IDENTITY_HEADER": "x"}, reason: v1alpha1.ReasonInvalidResponse, says: []string{"HTTP status 401"}},
		"not assigned":                {spec: v1alpha1.ACR{ClientID: unknown}, reason: v1alpha1.ReasonIdentityNotFound, says: []string{unknown, "assign it"}},
		"endpoint not yet up":         {status: 404, reason: v1alpha1.ReasonUnavailable, says: []string{"HTTP status 404", "tried again"}},
		"endpoint being updated":      {status: 410, reason: v1alpha1.ReasonUnavailable, says: []string{"HTTP status 410"}},
		"client ID of no use":         {env: map[string]string{"AZURE_CLIENT_ID": "x"}, reason: v1alpha1.ReasonIdentityInvalid, says: []string{"environment of the controller"}},
		"token file that is not here": {env: map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "/nonexistent", "AZURE_CLIENT_ID": application, "AZURE_TENANT_ID": cloud.AzureTenant}, reason: v1alpha1.ReasonIdentityInvalid, says: []string{"AZURE_FEDERATED_TOKEN_FILE"}},
		"client ID missing":           {env: map[string]string{"AZURE_FEDERATED_TOKEN_FILE": os.Args[0], "AZURE_TENANT_ID": cloud.AzureTenant}, reason: v1alpha1.ReasonIdentityInvalid, says: []string{"AZURE_CLIENT_ID"}},
		"a source that cannot be":     {env: map[string]string{"MSI_ENDPOINT": "http://127.0.0.1:1", "AZURE_CLIENT_ID": application}, reason: v1alpha1.ReasonInvalidRequest, says: []string{"MSI_ENDPOINT"}},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			azure.SetManagedIdentityStatus(c.status)
			c.spec.Registry = host
			_, err := newProvider(t, azure).Token(t.Context(), request(c.spec, providers.Identity{}))
			checkFailure(t, err, c.reason, c.says...)
		})
	}
}
