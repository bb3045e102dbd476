package acr_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
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
		for k, v := range base {
			data[k] = v
		}
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
		"wrong header":                {env: map[string]string{"IDENTITY_ENDPOINT": strings.TrimPrefix(azure.Env()[0], "IDENTITY_ENDPOINT="), "IDENTITY_HEADER": "x"}, reason: v1alpha1.ReasonUnavailable, says: []string{"HTTP status 401"}},
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
