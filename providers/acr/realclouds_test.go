package acr_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

const resourceID = "/subscriptions/72f988bf-86f1-41af-91ab-2d7cd011db47/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"

func TestAManagedIdentityIsNamedByEitherID(t *testing.T) {
	for _, named := range []string{resourceID, other} {
		azure := startAzure(t)
		azure.AssignManagedIdentity(cloud.AzureManagedIdentity{ClientID: other, ResourceID: resourceID})
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
		// The controller's own workload identity does not count beside it.
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent")
		t.Setenv("AZURE_CLIENT_ID", application)
		req := request(v1alpha1.ACR{Registry: host, ManagedIdentity: named}, providers.Identity{})
		p := newProvider(t, azure)
		if _, err := p.Token(t.Context(), req); err != nil {
			t.Errorf("%s: %v", named, err)
			continue
		}
		if got := lastClient(azure); got != other {
			t.Errorf("%s: the token is %s's", named, got)
		}
		if got := p.Endpoint(req); got != host+" as the controller's node" {
			t.Errorf("%s: the endpoint is %q", named, got)
		}
	}
	azure := startAzure(t)
	for _, named := range []string{"pull", resourceID + "/x", "/subscriptions/../" + resourceID, resourceID + "?x=y"} {
		_, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host, ManagedIdentity: named}, providers.Identity{}))
		checkFailure(t, err, v1alpha1.ReasonInvalidRequest, "acr.managedIdentity is neither")
	}
	_, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host, ManagedIdentity: strings.Replace(resourceID, "pull", "other", 1)}, providers.Identity{}))
	checkFailure(t, err, v1alpha1.ReasonIdentityNotFound, "the managed identity other", "acr.managedIdentity")
}

func TestATokenForRepositoriesPullsFromNoOther(t *testing.T) {
	azure := startAzure(t)
	token, err := newProvider(t, azure).Token(t.Context(),
		request(v1alpha1.ACR{Registry: host, Repositories: []string{"team/app", "team/tools"}}, serviceAccount(annotations, issuer, new([]string))))
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(token.ExpiresAt); life < 74*time.Minute || life > 75*time.Minute {
		t.Errorf("it lives for %s; the access token's own life is 75m", life)
	}
	for repository, allowed := range map[string]bool{"team/app": true, "team/tools": true, "team/secret": false} {
		if _, err := azure.SeedImage(host, repository, "v1"); err != nil {
			t.Fatal(err)
		}
		_, err := cloud.Pull(t.Context(), azure.Transport(), dockerConfig(t, token), host+"/"+repository+":v1")
		if (err == nil) != allowed {
			t.Errorf("pulling from %s: %v", repository, err)
		}
	}
}

func TestARepositoryThatIsNotAllowedIsNamed(t *testing.T) {
	azure := startAzure(t)
	addRegistry(t, azure, cloud.AzureRegistry{Host: "abac.azurecr.io", ABAC: true})
	azure.AssignRole(cloud.AzureRoleAssignment{Registry: "abac.azurecr.io", ClientID: application, Role: cloud.AzureRepositoryReader, Repositories: []string{"team/app"}})
	_, err := newProvider(t, azure).Token(t.Context(),
		request(v1alpha1.ACR{Registry: "abac.azurecr.io", Repositories: []string{"team/app", "team/secret"}}, serviceAccount(annotations, issuer, new([]string))))
	checkFailure(t, err, v1alpha1.ReasonAccessDenied, "may not pull from abac.azurecr.io/team/secret", "Container Registry Repository Reader")
}

func TestATenantThatIsNamedByItsDomain(t *testing.T) {
	azure := startAzure(t)
	azure.AddApplication(cloud.AzureApplication{ClientID: other, Tenant: "contoso.example", Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: audience}}})
	azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
	azure.SetTenantID("contoso.example", cloud.AzureTenant)
	byDomain := map[string]string{"azure.workload.identity/client-id": other, "azure.workload.identity/tenant-id": "contoso.example"}
	if _, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(byDomain, issuer, new([]string)))); err != nil {
		t.Error(err)
	}
}

func TestAnotherCloudHasItsOwnEntra(t *testing.T) {
	const suffix, theirs = "azurecr.airgap.example", "api://AzureADTokenExchangeAirgap2"
	azure := startAzure(t)
	azure.AddCloud(suffix, "login.airgap.example", "https://containerregistry.airgap.example")
	addRegistry(t, azure, cloud.AzureRegistry{Host: "myregistry." + suffix})
	azure.AddApplication(cloud.AzureApplication{ClientID: other, Authority: "login.airgap.example",
		Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: "api://AirgapTokenExchange"}}})
	azure.AssignRole(cloud.AzureRoleAssignment{Registry: "myregistry." + suffix, ClientID: other, Role: cloud.AzureAcrPull})
	p, err := acr.New(clock.RealClock{}, acr.Options{Transport: azure.Transport(),
		Clouds: []string{suffix + "=https://login.airgap.example,api://AirgapTokenExchange,https://containerregistry.airgap.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var audiences []string
	id := serviceAccount(map[string]string{"azure.workload.identity/client-id": other, "azure.workload.identity/tenant-id": cloud.AzureTenant}, issuer, &audiences)
	if _, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: "myregistry." + suffix}, id)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(audiences, []string{"api://AirgapTokenExchange"}) {
		t.Errorf("tokens for %v were asked for", audiences)
	}
	if !slices.Contains(p.Audiences(), `^api://AirgapTokenExchange$`) {
		t.Errorf("the audience is not declared: %v", p.Audiences())
	}
	for _, hostile := range []string{"myregistry.x" + suffix, "my.registry." + suffix, suffix, "myregistry." + suffix + ".evil.example"} {
		_, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: v1alpha1.Host(hostile)}, id))
		checkFailure(t, err, v1alpha1.ReasonInvalidRequest, "acr.registry must be a login server")
	}
	for _, odd := range []string{
		"", "azurecr.example", "azurecr.example=https://login.example", "azurecr.example=http://login.example," + theirs + ",https://r.example",
		"azurecr.example=https://login.example,sts.amazonaws.com,https://r.example", "azurecr.example=https://login.example,,https://r.example",
		"azurecr.example=https://login.example," + theirs + ",r.example", "example=https://login.example," + theirs + ",https://r.example",
		"azurecr.io=https://login.example," + theirs + ",https://r.example", "azurecr.example=https://user@login.example," + theirs + ",https://r.example",
	} {
		if _, err := acr.New(clock.RealClock{}, acr.Options{Clouds: []string{odd}}); err == nil || !strings.HasPrefix(err.Error(), "--azure-clouds: ") {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestAKSTakesTheTokenOfAServiceAccount(t *testing.T) {
	azure := startAzure(t)
	proxy := httptest.NewUnstartedServer(azure.IdentityBindings(application, subject))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	proxy.StartTLS()
	defer proxy.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	req := func(audiences *[]string) providers.Request {
		return request(v1alpha1.ACR{Registry: host, IdentityBinding: true}, serviceAccount(map[string]string{"azure.workload.identity/client-id": application}, issuer, audiences))
	}
	_, err := newProvider(t, azure).Token(t.Context(), req(new([]string)))
	checkFailure(t, err, v1alpha1.ReasonInvalidRequest, "knows of no identity bindings", "use-identity-binding")

	t.Setenv("AZURE_KUBERNETES_TOKEN_PROXY", proxy.URL)
	t.Setenv("AZURE_KUBERNETES_SNI_NAME", "example.com") // a name of the server's certificate
	t.Setenv("AZURE_KUBERNETES_CA_FILE", ca)
	var audiences []string
	if _, err := newProvider(t, azure).Token(t.Context(), req(&audiences)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(audiences, []string{facts.AKSIdentityBindingAudience}) || azure.Calls().Of(cloud.ActionEntraToken) != 0 {
		t.Errorf("tokens for %v were asked for, and Entra called %d times", audiences, azure.Calls().Of(cloud.ActionEntraToken))
	}
	unbound := req(new([]string))
	unbound.Registry.ACR.ClientID = other
	_, err = newProvider(t, azure).Token(t.Context(), unbound)
	checkFailure(t, err, v1alpha1.ReasonAccessDenied, "HTTP status 403", "use-managed-identity on "+other)

	t.Setenv("AZURE_KUBERNETES_SNI_NAME", "another.example")
	_, err = newProvider(t, azure).Token(t.Context(), req(new([]string)))
	checkFailure(t, err, v1alpha1.ReasonUnavailable, "its certificate is not trusted")
	t.Setenv("AZURE_KUBERNETES_CA_FILE", "/nonexistent")
	_, err = newProvider(t, azure).Token(t.Context(), req(new([]string)))
	checkFailure(t, err, v1alpha1.ReasonInvalidRequest, "AZURE_KUBERNETES_CA_FILE")
}

func TestAClientSecretWithWhatNobodyTyped(t *testing.T) {
	for text, says := range map[string]string{clientSecret + "\n": "", clientSecret + "\r\n": "", clientSecret + "\n\n": "more than one line", "\ufeff" + clientSecret: "byte order mark"} {
		azure := startAzure(t)
		azure.AddApplication(cloud.AzureApplication{ClientID: other, Secret: clientSecret})
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: other, Role: cloud.AzureAcrPull})
		id := secret(map[string]string{"AZURE_CLIENT_ID": other + "\n", "AZURE_TENANT_ID": cloud.AzureTenant + "\n", "AZURE_CLIENT_SECRET": text})
		_, err := newProvider(t, azure).Token(t.Context(), request(v1alpha1.ACR{Registry: host}, id))
		if says == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		checkFailure(t, err, v1alpha1.ReasonIdentityInvalid, "AZURE_CLIENT_SECRET of Secret team-a/principal", says)
		if n := len(azure.Calls()); n != 0 {
			t.Errorf("%q: %d kinds of calls were made", text, n)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheCloudsAreThoseThatAzureLists(t *testing.T) {
	for _, fact := range facts.AzureClouds {
		azure := startAzure(t)
		registry := "myregistry." + fact.Suffix
		authority := strings.Trim(strings.TrimPrefix(fact.Authority, "https://"), "/")
		addRegistry(t, azure, cloud.AzureRegistry{Host: registry})
		azure.AddApplication(cloud.AzureApplication{ClientID: other, Authority: authority,
			Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: subject, Audience: fact.Audience}}})
		azure.AssignRole(cloud.AzureRoleAssignment{Registry: registry, ClientID: other, Role: cloud.AzureAcrPull})
		id := serviceAccount(map[string]string{"azure.workload.identity/client-id": other, "azure.workload.identity/tenant-id": cloud.AzureTenant}, issuer, new([]string))
		var scopes []string
		p, err := acr.New(clock.RealClock{}, acr.Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == authority && r.Method == http.MethodPost {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				form, err := url.ParseQuery(string(body))
				if err != nil {
					return nil, err
				}
				scopes = append(scopes, form.Get("scope"))
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			return azure.Transport().RoundTrip(r)
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Token(t.Context(), request(v1alpha1.ACR{Registry: v1alpha1.Host(registry)}, id)); err != nil {
			t.Errorf("%s: %v", fact.Suffix, err)
		}
		if len(scopes) != 1 || !slices.Contains(strings.Fields(scopes[0]), facts.AzureRegistryScope) {
			t.Errorf("%s: Entra was asked for %q", fact.Suffix, scopes)
		}
		if got := p.Endpoint(request(v1alpha1.ACR{Registry: v1alpha1.Host(registry)}, id)); got != registry+" by "+authority {
			t.Errorf("%s: the endpoint is %q", fact.Suffix, got)
		}
	}
}

// dockerConfig is the content of a Secret with the token.
func dockerConfig(t *testing.T, token providers.Token) []byte {
	t.Helper()
	login := token.Logins[0]
	auth := base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + login.Password.Reveal()))
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{login.Hosts[0]: map[string]string{"auth": auth}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestARegistrysOwnWordsAreUnderstood(t *testing.T) {
	for name, says := range map[string]string{"firewall": "the registry's firewall", "unauthorized": "give the identity a role"} {
		fact := facts.ACRErrors[name]
		wire := &scripted{next: startAzure(t).Transport(), path: exchangePath, answer: with(fact.Status, fact.Body, "Content-Type", fact.ContentType)}
		p, err := acr.New(clock.RealClock{}, acr.Options{Transport: wire})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Token(t.Context(), request(v1alpha1.ACR{Registry: host}, serviceAccount(annotations, issuer, new([]string))))
		checkFailure(t, err, v1alpha1.ReasonAccessDenied, says)
	}
}
