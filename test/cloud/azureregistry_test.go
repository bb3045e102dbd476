package cloud

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAzureExchangeRefuses(t *testing.T) {
	const other = "other.azurecr.io"
	for name, c := range map[string]struct {
		registry AzureRegistry
		scope    string
		form     []string
		do       func(*Azure)
		status   int
	}{
		"nothing":                           {status: 200},
		"nothing with the right tenant":     {form: []string{"tenant", AzureTenant}, status: 200},
		"a token for Resource Manager":      {scope: azureARMScope, status: 401},
		"not that, if the registry allows":  {registry: AzureRegistry{AllowARMTokens: true}, scope: azureARMScope, status: 200},
		"another tenant's registry":         {registry: AzureRegistry{Tenant: "x"}, status: 401},
		"another tenant's name":             {form: []string{"tenant", "x"}, status: 401},
		"who is outside of the firewall":    {registry: AzureRegistry{Firewall: true}, status: 403},
		"another service":                   {form: []string{"service", other}, status: 400},
		"another grant":                     {form: []string{"grant_type", "access_token_refresh_token"}, status: 400},
		"a token of somebody else's making": {form: []string{"access_token", azureSign(randomData(32), entraClaims{})}, status: 401},
		"what is no token":                  {form: []string{"access_token", "x"}, status: 401},
		"who has no role":                   {do: func(a *Azure) { a.RemoveRoles(azureHost, azureApp) }, status: 401},
		"a token that has expired":          {do: func(a *Azure) { a.SetClockOffset(2 * time.Hour) }, status: 401},
		"a call too many":                   {do: func(a *Azure) { a.Exchange.Set(Fault{Throttle: -1}) }, status: 429},
	} {
		t.Run(name, func(t *testing.T) {
			a := azureStart(t, AzureOptions{})
			c.registry.Host = azureHost
			azureAddRegistry(t, a, c.registry)
			azureAddRegistry(t, a, AzureRegistry{Host: other})
			if c.scope == "" {
				c.scope = azureScope
			}
			token := azureEntraToken(t, a, c.scope)
			if c.do != nil {
				c.do(a)
			}
			answer := azureExchange(t, a, azureHost, token, c.form...)
			given := answer.text("refresh_token") != ""
			if answer.status != c.status || given != (c.status == 200) || given != (len(a.Tokens()) == 1) || given != (answer.code() == "") {
				t.Errorf("status %d, code %q, a token: %t", answer.status, answer.code(), given)
			}
			wantCount(t, "exchanges", a.Calls().Of(ActionACRExchange), 1)
		})
	}
	a := azureStart(t, AzureOptions{})
	if got := azureAsk(t, a, http.MethodGet, "https://"+azureHost+azureExchangePath, nil); got.status == http.StatusOK {
		t.Error("the exchange takes a GET")
	}
}

// azureHead asks for a manifest as clients do: with what the token endpoint gives for the refresh token.
func azureHead(t *testing.T, a *Azure, host, token, repository string) int {
	t.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(azureRefreshUser+":"+token))
	scope := "repository:" + repository + ":pull"
	byGet := azureAsk(t, a, http.MethodGet, "https://"+host+azureRealmPath+"?service="+host+"&scope="+scope, nil, "Authorization", basic)
	byPost := azureAsk(t, a, http.MethodPost, "https://"+host+azureRealmPath,
		url.Values{"grant_type": {"refresh_token"}, "service": {host}, "scope": {scope}, "refresh_token": {token}})
	if byGet.status != byPost.status {
		t.Errorf("the token endpoint says %d to GET and %d to POST", byGet.status, byPost.status)
	}
	if byGet.status != http.StatusOK {
		return byGet.status
	}
	var statuses [2]int
	for i, bearer := range []string{byGet.text("access_token"), byPost.text("access_token")} {
		statuses[i] = azureAsk(t, a, http.MethodHead, "https://"+host+"/v2/"+repository+"/manifests/v1", nil,
			"Authorization", "Bearer "+bearer, "Accept", "application/vnd.docker.distribution.manifest.v2+json").status
	}
	if statuses[0] != statuses[1] {
		t.Errorf("the tokens of GET and POST are good for %d and %d", statuses[0], statuses[1])
	}
	return statuses[0]
}

func TestAzureRegistriesTakeExactlyTheirLiveTokens(t *testing.T) {
	const other, regional = "other.azurecr.io", "myregistry.westeurope.geo.azurecr.io"
	clock := newFakeClock()
	a := azureStart(t, AzureOptions{Clock: clock.Now, TokenLife: time.Hour})
	azureAddRegistry(t, a, AzureRegistry{Host: other})
	a.AssignRole(AzureRoleAssignment{Registry: other, ClientID: azureApp, Role: AzureAcrPull})
	for _, host := range []string{azureHost, other} {
		if _, err := a.SeedImage(host, "team/app", "v1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := a.registryAt("myregistry.eastus.geo.azurecr.io"); ok {
		t.Error("there is an endpoint in a region where the registry is not")
	}
	first := azureRefreshToken(t, a)
	check := func(name, host, token string, want int) {
		t.Helper()
		if got := azureHead(t, a, host, token, "team/app"); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	check("its own", azureHost, first, 200)
	check("its regional endpoint", regional, first, 200)
	check("another registry", other, first, 401)
	check("a token of its own making", azureHost, azureSign(randomData(32), acrClaims{}), 401)
	clock.Step(time.Hour - 2*time.Second)
	second := azureRefreshToken(t, a)
	check("in its last second", azureHost, first, 200)
	clock.Step(2 * time.Second)
	check("after it", azureHost, first, 401)
	check("the next", azureHost, second, 200)
	if a.IsLive(first) || !a.IsLive(second) {
		t.Error("IsLive is wrong")
	}
	a.ExpireAll()
	check("expired by hand", azureHost, second, 401)
}

func TestAzureRolesDecideOnPulls(t *testing.T) {
	for name, c := range map[string]struct {
		abac bool
		role AzureRoleAssignment
		want int
	}{
		"AcrPull":                       {false, AzureRoleAssignment{Role: AzureAcrPull}, 200},
		"AcrPull with ABAC":             {true, AzureRoleAssignment{Role: AzureAcrPull}, 401},
		"Repository Reader":             {true, AzureRoleAssignment{Role: AzureRepositoryReader}, 200},
		"Repository Reader elsewhere":   {true, AzureRoleAssignment{Role: AzureRepositoryReader, Repositories: []string{"team/other"}}, 401},
		"Repository Reader here":        {true, AzureRoleAssignment{Role: AzureRepositoryReader, Repositories: []string{"team/app"}}, 200},
		"Repository Reader without":     {false, AzureRoleAssignment{Role: AzureRepositoryReader}, 401},
		"a role that allows no reading": {false, AzureRoleAssignment{Role: "AcrPush"}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			a := azureStart(t, AzureOptions{})
			azureAddRegistry(t, a, AzureRegistry{Host: azureHost, ABAC: c.abac})
			a.RemoveRoles(azureHost, azureApp)
			c.role.Registry, c.role.ClientID = azureHost, azureApp
			a.AssignRole(c.role)
			if _, err := a.SeedImage(azureHost, "team/app", "v1"); err != nil {
				t.Fatal(err)
			}
			if got := azureHead(t, a, azureHost, azureRefreshToken(t, a), "team/app"); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}

func TestAzureChallenge(t *testing.T) {
	a := azureStart(t, AzureOptions{})
	for path, scope := range map[string]string{"/v2/": "", "/v2/team/app/manifests/v1": `,scope="repository:team/app:pull"`} {
		answer := azureAsk(t, a, http.MethodGet, "https://"+azureHost+path, nil)
		want := `Bearer realm="https://myregistry.azurecr.io/oauth2/token",service="myregistry.azurecr.io"` + scope
		if got := answer.header.Get("Www-Authenticate"); answer.status != 401 || got != want || answer.code() != codeUnauthorized {
			t.Errorf("%s: %d, %q, %s", path, answer.status, answer.code(), got)
		}
	}
}

func TestAzureTokensHoldACanary(t *testing.T) {
	a := azureStart(t, AzureOptions{})
	for name, token := range map[string]string{"Entra's": azureEntraToken(t, a, azureScope), "the registry's": azureRefreshToken(t, a)} {
		if !ContainsCanary([]byte(token)) || strings.Contains(token, canaryPrefix) {
			t.Errorf("%s token holds no canary, or is no JWT", name)
		}
	}
}
