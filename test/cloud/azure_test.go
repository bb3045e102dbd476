package cloud

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	azureHost      = "myregistry.azurecr.io"
	azureApp       = "11111111-1111-4111-8111-111111111111"
	azureTokenURL  = "https://" + AzureAuthority + "/" + AzureTenant + azureTokenPath
	azureScope     = azureRegistryAudience + "/.default openid offline_access profile"
	azureARMScope  = "https://management.azure.com/.default"
	azureAppSecret = CanaryEntra + "client-secret"
	azureIMDS      = "http://169.254.169.254" + azureMetadataTokenPath
)

// azureStart starts a cloud with a registry and an application that may pull from it.
func azureStart(t *testing.T, opts AzureOptions) *Azure {
	t.Helper()
	a := started(t, StartAzure, opts)
	azureAddRegistry(t, a, AzureRegistry{Host: azureHost, Regions: []string{"westeurope"}})
	a.AddApplication(AzureApplication{ClientID: azureApp, Secret: azureAppSecret, Federated: []AzureFederatedCredential{{"https://cluster.example", "me", "api://AzureADTokenExchange"}}})
	a.AssignRole(AzureRoleAssignment{Registry: azureHost, ClientID: azureApp, Role: AzureAcrPull})
	return a
}

func azureAddRegistry(t *testing.T, a *Azure, r AzureRegistry) {
	t.Helper()
	if err := a.AddRegistry(r); err != nil {
		t.Fatal(err)
	}
}

// azureAnswer is what a service of Azure says.
type azureAnswer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a azureAnswer) text(key string) string {
	s, _ := a.body[key].(string)
	return s
}

// code is the registry's error code, or the first of Entra's.
func (a azureAnswer) code() string {
	if errors, ok := a.body["errors"].([]any); ok {
		first, _ := errors[0].(map[string]any)
		code, _ := first["code"].(string)
		return code
	}
	code, _, _ := strings.Cut(a.text("error_description"), ":")
	return code
}

func azureAsk(t *testing.T, a *Azure, method, address string, form url.Values, header ...string) azureAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	transport := a.Transport()
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := azureAnswer{status: res.StatusCode, header: res.Header}
	_ = json.Unmarshal(raw, &out.body) // a manifest's absence is told by the status
	return out
}

// azureForm is the client credentials grant with some fields set otherwise; an empty value removes one.
func azureForm(keysAndValues ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {azureApp}, "client_secret": {azureAppSecret}, "scope": {azureScope}}
	for i := 0; i < len(keysAndValues); i += 2 {
		form.Set(keysAndValues[i], keysAndValues[i+1])
		if keysAndValues[i+1] == "" {
			form.Del(keysAndValues[i])
		}
	}
	return form
}

func azureEntraToken(t *testing.T, a *Azure, scope string) string {
	t.Helper()
	answer := azureAsk(t, a, http.MethodPost, azureTokenURL, azureForm("scope", scope))
	if answer.status != http.StatusOK {
		t.Fatalf("Entra answered %d, %s", answer.status, answer.code())
	}
	return answer.text("access_token")
}

// azureExchange asks a registry for a refresh token.
func azureExchange(t *testing.T, a *Azure, host, token string, keysAndValues ...string) azureAnswer {
	t.Helper()
	form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {token}}
	for i := 0; i < len(keysAndValues); i += 2 {
		form.Set(keysAndValues[i], keysAndValues[i+1])
	}
	return azureAsk(t, a, http.MethodPost, "https://"+host+azureExchangePath+"?api-version=2021-07-01", form)
}

func azureRefreshToken(t *testing.T, a *Azure) string {
	t.Helper()
	answer := azureExchange(t, a, azureHost, azureEntraToken(t, a, azureScope))
	if answer.status != http.StatusOK {
		t.Fatalf("the registry answered %d, %s", answer.status, answer.code())
	}
	return answer.text("refresh_token")
}

func TestAzureEntraRefuses(t *testing.T) {
	assertion := func(issuer, subject, audience string, life time.Duration) []string {
		token, err := WebIdentityToken(issuer, subject, audience, time.Now().Add(life))
		if err != nil {
			t.Fatal(err)
		}
		return []string{"client_secret", "", "client_assertion_type", azureAssertionType, "client_assertion", token}
	}
	const issuer, audience = "https://cluster.example", "api://AzureADTokenExchange"
	for name, c := range map[string]struct {
		url  string
		form []string
		code string
	}{
		"nothing":                         {code: ""},
		"a trusted assertion":             {form: assertion(issuer, "me", audience, time.Hour)},
		"another grant":                   {form: []string{"grant_type", "password"}, code: "AADSTS70003"},
		"an unknown application":          {form: []string{"client_id", "x"}, code: "AADSTS700016"},
		"an unknown tenant":               {url: "https://" + AzureAuthority + "/x" + azureTokenPath, code: "AADSTS90002"},
		"a tenant of another cloud":       {url: strings.Replace(azureTokenURL, AzureAuthority, AzureChinaAuthority, 1), code: "AADSTS90002"},
		"no credential":                   {form: []string{"client_secret", ""}, code: "AADSTS7000216"},
		"a wrong secret":                  {form: []string{"client_secret", "x"}, code: "AADSTS7000215"},
		"an unknown resource":             {form: []string{"scope", "https://other.example/.default"}, code: "AADSTS500011"},
		"a resource without .default":     {form: []string{"scope", azureRegistryAudience}, code: "AADSTS500011"},
		"an assertion of no type":         {form: []string{"client_assertion", "x"}, code: "AADSTS90014"},
		"an assertion that is none":       {form: []string{"client_assertion", "x", "client_assertion_type", azureAssertionType}, code: "AADSTS50027"},
		"an assertion that has expired":   {form: assertion(issuer, "me", audience, -time.Minute), code: "AADSTS700024"},
		"an issuer that is not trusted":   {form: assertion("https://other.example", "me", audience, time.Hour), code: "AADSTS700211"},
		"a subject that is not trusted":   {form: assertion(issuer, "you", audience, time.Hour), code: "AADSTS700213"},
		"an audience that is not trusted": {form: assertion(issuer, "me", audience+"USGov", time.Hour), code: "AADSTS700212"},
	} {
		t.Run(name, func(t *testing.T) {
			a := azureStart(t, AzureOptions{})
			if c.url == "" {
				c.url = azureTokenURL
			}
			answer := azureAsk(t, a, http.MethodPost, c.url, azureForm(c.form...))
			if answer.code() != c.code || (answer.status == http.StatusOK) != (c.code == "") {
				t.Errorf("status %d, code %q", answer.status, answer.code())
			}
			wantCount(t, "calls with this code", a.Calls().WithCode(ActionEntraToken, c.code), 1)
		})
	}
}

func TestAzureManagedIdentityEndpointRefuses(t *testing.T) {
	a := azureStart(t, AzureOptions{})
	const query = "?api-version=2018-02-01&resource=" + azureRegistryAudience
	check := func(name, address string, want int, header ...string) {
		t.Helper()
		if got := azureAsk(t, a, http.MethodGet, address, nil, header...); got.status != want {
			t.Errorf("%s: status %d, want %d", name, got.status, want)
		}
	}
	check("no identity is assigned", azureIMDS+query, 400, "Metadata", "true")
	a.AssignManagedIdentity(AzureManagedIdentity{ClientID: azureApp})
	check("the only one", azureIMDS+query, 200, "Metadata", "true")
	a.AssignManagedIdentity(AzureManagedIdentity{ClientID: "other"})
	check("one of two", azureIMDS+query, 400, "Metadata", "true")
	check("by its client ID", azureIMDS+query+"&client_id=other", 200, "Metadata", "true")
	a.AssignManagedIdentity(AzureManagedIdentity{ClientID: "system", System: true})
	check("the system-assigned one", azureIMDS+query, 200, "Metadata", "true")
	check("an unknown one", azureIMDS+query+"&client_id=x", 400, "Metadata", "true")
	check("without Metadata", azureIMDS+query, 400)
	check("forwarded", azureIMDS+query, 400, "Metadata", "true", "X-Forwarded-For", "203.0.113.7")
	check("without api-version", azureIMDS+"?resource="+azureRegistryAudience, 400, "Metadata", "true")
	check("without resource", azureIMDS+"?api-version=2018-02-01", 400, "Metadata", "true")
	check("an unknown resource", azureIMDS+"?api-version=2018-02-01&resource=https://other.example", 400, "Metadata", "true")
	check("another path", "http://169.254.169.254/metadata/instance", 404, "Metadata", "true")
	endpoint, header := strings.TrimPrefix(a.Env()[0], "IDENTITY_ENDPOINT="), strings.TrimPrefix(a.Env()[1], "IDENTITY_HEADER=")
	check("App Service", endpoint+query, 200, "X-Identity-Header", header)
	check("App Service, wrong header", endpoint+query, 401, "X-Identity-Header", "x")
	for _, status := range []int{404, 410} {
		a.SetManagedIdentityStatus(status)
		check("an update", azureIMDS+query, status, "Metadata", "true")
	}
	a.SetManagedIdentityStatus(0)
	a.ManagedIdentity.Set(Fault{Throttle: 1, RetryAfter: 5 * time.Second})
	if got := azureAsk(t, a, http.MethodGet, azureIMDS+query, nil, "Metadata", "true"); got.status != 429 || got.header.Get("Retry-After") != "5" {
		t.Errorf("throttled: status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	check("healthy again", azureIMDS+query, 200, "Metadata", "true")
}
