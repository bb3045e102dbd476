package cloud

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	jfrogIssuer  = "https://cluster.example"
	jfrogSubject = "system:serviceaccount:team-a:puller"
)

func startJFrog(t *testing.T, opts JFrogOptions) *JFrog {
	t.Helper()
	j := started(t, StartJFrog, opts)
	j.AddUser(JFrogUser{Name: "admin", Admin: true})
	j.AddUser(JFrogUser{Name: "puller", Groups: []string{"readers"}})
	j.SetReadable("readers", "docker-local")
	j.AddProvider(JFrogProvider{Name: "cluster", Issuer: jfrogIssuer, Audience: "jfrog", Mappings: []JFrogIdentityMapping{
		{Name: "other", Claims: map[string]string{"sub": "system:serviceaccount:team-b:puller"}, Username: "admin"},
		{Name: "team-a", Claims: map[string]string{"sub": jfrogSubject, "aud": "jfrog"}, Username: "puller"},
		{Name: "of-a-project", Claims: map[string]string{"iss": jfrogIssuer}, Scope: "applied-permissions/groups:readers", Username: "ci", ProjectKey: "web"},
		{Name: "of-nobody", Claims: map[string]string{"iss": jfrogIssuer}, Username: "nobody"},
	}})
	return j
}

type jfrogReply struct {
	status int
	// Of an answer.
	TokenID     string `json:"token_id"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Username    string `json:"username"`
	Type        string `json:"issued_token_type"`
	// Of a refusal.
	Errors []struct{ Code, Message string } `json:"errors"`
}

func (r jfrogReply) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Code
}

func callJFrog(t *testing.T, j *JFrog, method, address, bearer, contentType, body string) jfrogReply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := j.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	reply := jfrogReply{status: res.StatusCode}
	if len(raw) > 0 && json.Unmarshal(raw, &reply) != nil {
		t.Fatalf("%d bytes that are no JSON", len(raw))
	}
	return reply
}

func postJFrog(t *testing.T, j *JFrog, path, bearer string, body map[string]any) jfrogReply {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return callJFrog(t, j, http.MethodPost, j.URL()+path, bearer, "application/json", string(raw))
}

func TestJFrogExchange(t *testing.T) {
	token := func(issuer, subject, audience string, life time.Duration) string {
		out, err := WebIdentityToken(issuer, subject, audience, time.Now().Add(life))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	good := token(jfrogIssuer, jfrogSubject, "jfrog", time.Hour)
	for name, c := range map[string]struct {
		change   map[string]any
		status   int
		code     string
		username string
	}{
		"good":                          {nil, http.StatusOK, "", "puller"},
		"a mapping by name":             {map[string]any{"identity_mapping_name": "team-a"}, http.StatusOK, "", "puller"},
		"a mapping of a project":        {map[string]any{"identity_mapping_name": "of-a-project", "project_key": "web"}, http.StatusOK, "", "ci"},
		"the mapping of a project only": {map[string]any{"identity_mapping_name": "of-a-project"}, http.StatusForbidden, "FORBIDDEN", ""},
		"another's mapping":             {map[string]any{"identity_mapping_name": "other"}, http.StatusForbidden, "FORBIDDEN", ""},
		"a mapping to nobody":           {map[string]any{"identity_mapping_name": "of-nobody"}, http.StatusBadRequest, "BAD_REQUEST", ""},
		"unknown provider":              {map[string]any{"provider_name": "nobody"}, http.StatusNotFound, "NOT_FOUND", ""},
		"other grant":                   {map[string]any{"grant_type": "client_credentials"}, http.StatusBadRequest, "BAD_REQUEST", ""},
		"other kind of token":           {map[string]any{"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, http.StatusBadRequest, "BAD_REQUEST", ""},
		"no JWT":                        {map[string]any{"subject_token": "x"}, http.StatusUnauthorized, "UNAUTHORIZED", ""},
		"other issuer":                  {map[string]any{"subject_token": token("https://x.example", jfrogSubject, "jfrog", time.Hour)}, http.StatusUnauthorized, "UNAUTHORIZED", ""},
		"expired":                       {map[string]any{"subject_token": token(jfrogIssuer, jfrogSubject, "jfrog", -time.Second)}, http.StatusUnauthorized, "UNAUTHORIZED", ""},
		"other audience":                {map[string]any{"subject_token": token(jfrogIssuer, jfrogSubject, "x", time.Hour)}, http.StatusBadRequest, "BAD_REQUEST", ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := startJFrog(t, JFrogOptions{})
			body := map[string]any{"grant_type": jfrogExchangeGrant, "subject_token_type": jfrogIDToken, "subject_token": good, "provider_name": "cluster"}
			maps.Copy(body, c.change)
			got := postJFrog(t, j, jfrogExchangePath, "", body)
			if got.status != c.status || got.code() != c.code || got.Username != c.username {
				t.Errorf("status %d, code %s, user %q; want %d, %s, %q", got.status, got.code(), got.Username, c.status, c.code, c.username)
			}
			if c.status != http.StatusOK {
				wantCount(t, "tokens", len(j.Tokens()), 0)
				return
			}
			if got.ExpiresIn != 3600 || got.Type != jfrogAccessToken || got.TokenID != "" || !j.IsLive(got.AccessToken) {
				t.Errorf("expires in %d, type %s, ID %q, live: %t", got.ExpiresIn, got.Type, got.TokenID, j.IsLive(got.AccessToken))
			}
			if !ContainsCanary([]byte(got.AccessToken)) {
				t.Error("the token holds no canary")
			}
		})
	}
}

func TestJFrogCreateToken(t *testing.T) {
	for name, c := range map[string]struct {
		caller string
		body   map[string]any
		status int
		want   JFrogToken
		life   time.Duration
	}{
		"defaults":               {"puller", map[string]any{}, http.StatusOK, JFrogToken{Username: "puller", Scope: "applied-permissions/user"}, jfrogDefaultExpiry},
		"for another":            {"admin", map[string]any{"username": "puller", "expires_in": 60}, http.StatusOK, JFrogToken{Username: "puller", Scope: "applied-permissions/user"}, time.Minute},
		"for groups":             {"admin", map[string]any{"username": "ci", "scope": "applied-permissions/groups:readers", "project_key": "web"}, http.StatusOK, JFrogToken{Username: "ci", Scope: "applied-permissions/groups:readers", ProjectKey: "web"}, jfrogDefaultExpiry},
		"longer than allowed":    {"admin", map[string]any{"expires_in": 366 * 24 * 3600}, http.StatusForbidden, JFrogToken{}, 0},
		"no life":                {"admin", map[string]any{"expires_in": 0}, http.StatusBadRequest, JFrogToken{}, 0},
		"life that is no number": {"admin", map[string]any{"expires_in": "6h"}, http.StatusBadRequest, JFrogToken{}, 0},
		"for another, by a user": {"puller", map[string]any{"username": "admin"}, http.StatusForbidden, JFrogToken{}, 0},
		"for groups, by a user":  {"puller", map[string]any{"scope": "applied-permissions/groups:readers"}, http.StatusForbidden, JFrogToken{}, 0},
		"for nobody":             {"admin", map[string]any{"username": "nobody"}, http.StatusBadRequest, JFrogToken{}, 0},
		"unknown scope":          {"admin", map[string]any{"scope": "member-of-groups:readers"}, http.StatusBadRequest, JFrogToken{}, 0},
		"unknown project":        {"admin", map[string]any{"project_key": "x"}, http.StatusBadRequest, JFrogToken{}, 0},
		"by nobody":              {"nobody", map[string]any{}, http.StatusUnauthorized, JFrogToken{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := startJFrog(t, JFrogOptions{MaxExpiry: jfrogDefaultExpiry, Projects: []string{"web"}})
			bearer, _ := j.CreateToken(c.caller, time.Hour)
			got := postJFrog(t, j, jfrogTokensPath, bearer, c.body)
			if got.status != c.status {
				t.Fatalf("status %d (%s), want %d", got.status, got.code(), c.status)
			}
			if c.status != http.StatusOK {
				wantCount(t, "tokens", len(j.Tokens()), 1)
				return
			}
			issued := j.Tokens()[1]
			if issued.ID != got.TokenID || issued.Username != c.want.Username || issued.Scope != c.want.Scope || issued.ProjectKey != c.want.ProjectKey {
				t.Errorf("issued %+v, want %+v", issued, c.want)
			}
			if got.ExpiresIn != int(c.life.Seconds()) || !j.IsLive(got.AccessToken) {
				t.Errorf("expires in %d, live: %t", got.ExpiresIn, j.IsLive(got.AccessToken))
			}
		})
	}
}

func TestJFrogTakesForms(t *testing.T) {
	j := startJFrog(t, JFrogOptions{})
	bearer, _ := j.CreateToken("admin", time.Hour)
	got := callJFrog(t, j, http.MethodPost, j.URL()+jfrogTokensPath, bearer, "application/x-www-form-urlencoded",
		url.Values{"username": {"puller"}, "expires_in": {"60"}}.Encode())
	if got.status != http.StatusOK || got.ExpiresIn != 60 {
		t.Errorf("status %d, expires in %d", got.status, got.ExpiresIn)
	}
	for _, other := range []string{"text/plain", ""} {
		if got := callJFrog(t, j, http.MethodPost, j.URL()+jfrogTokensPath, bearer, other, "{}"); got.status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: status %d", other, got.status)
		}
	}
}

func TestJFrogRevokeToken(t *testing.T) {
	j := startJFrog(t, JFrogOptions{})
	admin, _ := j.CreateToken("admin", time.Hour)
	user, _ := j.CreateToken("puller", time.Hour)
	create := func(body map[string]any) jfrogReply { return postJFrog(t, j, jfrogTokensPath, admin, body) }
	long, short := create(map[string]any{"expires_in": 10800}), create(map[string]any{"expires_in": 10799})
	foreign := create(map[string]any{"expires_in": 10800})
	revoke := func(id, bearer string) int {
		return callJFrog(t, j, http.MethodDelete, j.URL()+jfrogTokensPath+"/"+id, bearer, "application/json", "").status
	}
	for _, c := range []struct {
		what, id, bearer string
		status           int
	}{
		{"a stored one", long.TokenID, admin, http.StatusOK},
		{"the same again", long.TokenID, admin, http.StatusNoContent},
		{"one below the threshold", short.TokenID, admin, http.StatusNoContent},
		{"one that is not there", "x", admin, http.StatusNoContent},
		{"another's, by a user", foreign.TokenID, user, http.StatusForbidden},
		{"with a token that is dead", foreign.TokenID, long.AccessToken, http.StatusUnauthorized},
	} {
		if got := revoke(c.id, c.bearer); got != c.status {
			t.Errorf("%s: status %d, want %d", c.what, got, c.status)
		}
	}
	if j.IsLive(long.AccessToken) || !j.IsLive(short.AccessToken) || !j.IsLive(foreign.AccessToken) {
		t.Error("want the stored token dead, and no other")
	}
	wantCount(t, "revocations", j.Calls().Succeeded(ActionJFrogRevokeToken), 4)
}

func TestJFrogHasNoAPIElsewhere(t *testing.T) {
	j := startJFrog(t, JFrogOptions{})
	bearer, _ := j.CreateToken("admin", time.Hour)
	for _, c := range []struct{ method, address string }{
		{http.MethodPost, "https://acme-docker-local.jfrog.io" + jfrogTokensPath},
		{http.MethodGet, j.URL() + jfrogTokensPath},
		{http.MethodPost, j.URL() + "/artifactory/api/security/token"},
	} {
		if got := callJFrog(t, j, c.method, c.address, bearer, "application/json", "{}"); got.status != http.StatusNotFound {
			t.Errorf("%s %s: status %d", c.method, c.address, got.status)
		}
	}
}

func TestJFrogRegistry(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		t.Run(fmt.Sprintf("bearer %t", bearer), func(t *testing.T) { testJFrogRegistry(t, bearer) })
	}
}

func testJFrogRegistry(t *testing.T, bearer bool) {
	t.Helper()
	clock := newFakeClock()
	j := startJFrog(t, JFrogOptions{Clock: clock.Now, BearerChallenge: bearer})
	j.AddUser(JFrogUser{Name: "outsider", Groups: []string{"others"}})
	j.ServePort("5001", "docker-local")
	puller, issued := j.CreateToken("puller", time.Hour)
	outsider, _ := j.CreateToken("outsider", time.Hour)
	admin, _ := j.CreateToken("admin", time.Hour)
	old, _ := j.CreateToken("puller", -time.Second)
	for _, image := range []struct{ host, repository string }{
		{"acme.jfrog.io", "docker-local/app"}, {"acme-docker-local.jfrog.io", "app"}, {"acme.jfrog.io:5001", "app"},
		{"acme.jfrog.io", "secret-local/app"}, {"acme-secret-local.jfrog.io", "app"}, {"acme.jfrog.io:5002", "app"}, {"acme.jfrog.io", "docker-local-2/app"},
	} {
		if _, err := j.SeedImage(image.host, image.repository, "v1"); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		image, username, password string
		status                    int
	}{
		"repository path":            {"acme.jfrog.io/docker-local/app:v1", "puller", puller, 0},
		"sub-domain":                 {"acme-docker-local.jfrog.io/app:v1", "puller", puller, 0},
		"port":                       {"acme.jfrog.io:5001/app:v1", "puller", puller, 0},
		"administrator":              {"acme.jfrog.io/secret-local/app:v1", "admin", admin, 0},
		"other repository":           {"acme.jfrog.io/secret-local/app:v1", "puller", puller, http.StatusForbidden},
		"longer key":                 {"acme.jfrog.io/docker-local-2/app:v1", "puller", puller, http.StatusForbidden},
		"sub-domain of another":      {"acme-secret-local.jfrog.io/app:v1", "puller", puller, http.StatusForbidden},
		"port of none":               {"acme.jfrog.io:5002/app:v1", "puller", puller, http.StatusForbidden},
		"user without the group":     {"acme.jfrog.io/docker-local/app:v1", "outsider", outsider, http.StatusForbidden},
		"token of another user":      {"acme.jfrog.io/docker-local/app:v1", "admin", puller, http.StatusUnauthorized},
		"expired":                    {"acme.jfrog.io/docker-local/app:v1", "puller", old, http.StatusUnauthorized},
		"never issued":               {"acme.jfrog.io/docker-local/app:v1", "puller", "guess", http.StatusUnauthorized},
		"nobody, without a password": {"acme.jfrog.io/docker-local/app:v1", "", "", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			host, _, _ := strings.Cut(c.image, "/")
			_, err := Pull(t.Context(), j.Transport(), dockerConfig(t, host, c.username, c.password), c.image)
			if c.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, c.status, "")
		})
	}
	j.SetReadable("readers")
	config := dockerConfig(t, "acme.jfrog.io", "puller", puller)
	_, err := Pull(t.Context(), j.Transport(), config, "acme.jfrog.io/docker-local/app:v1")
	wantRefusal(t, err, http.StatusForbidden, "")
	j.Revoke(issued.ID)
	_, err = Pull(t.Context(), j.Transport(), config, "acme.jfrog.io/docker-local/app:v1")
	wantRefusal(t, err, http.StatusUnauthorized, "")
}

func TestJFrogChallenge(t *testing.T) {
	j := startJFrog(t, JFrogOptions{})
	password, _ := j.CreateToken("puller", time.Hour)
	for authorization, want := range map[string]int{
		"": http.StatusUnauthorized, "Bearer " + password: http.StatusOK, "Bearer x": http.StatusUnauthorized,
		"Basic " + base64.StdEncoding.EncodeToString([]byte("puller:"+password)): http.StatusOK,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, j.URL()+"/v2/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", authorization)
		res, err := j.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		challenge := res.Header.Get("WWW-Authenticate")
		if res.StatusCode != want || (challenge == `Basic realm="Artifactory Realm"`) != (want == http.StatusUnauthorized) {
			t.Errorf("status %d, want %d, with challenge %q", res.StatusCode, want, challenge)
		}
	}
}

// The challenge leads to the repository of Artifactory that the request names in one of three ways. What comes of it is for that registry alone.
func TestJFrogLeadsToTheRepositorysTokens(t *testing.T) {
	j := startJFrog(t, JFrogOptions{BearerChallenge: true})
	j.ServePort("5001", "docker-local")
	password, issued := j.CreateToken("puller", time.Hour)
	ask := func(address, username, secret string) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		switch username {
		case "":
		case "Bearer":
			r.Header.Set("Authorization", "Bearer "+secret)
		default:
			r.SetBasicAuth(username, secret)
		}
		res, err := j.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct{ Token string }
		if res.StatusCode == http.StatusOK && strings.Contains(address, "/token") {
			if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
		}
		return res.StatusCode, res.Header, answer.Token
	}
	for address, want := range map[string]string{
		"acme.jfrog.io/v2/":                           "acme.jfrog.io/artifactory/api/docker/null/v2/token",
		"acme.jfrog.io/v2/docker-local/app/tags/list": "acme.jfrog.io/artifactory/api/docker/docker-local/v2/token",
		"acme-docker-local.jfrog.io/v2/app/tags/list": "acme-docker-local.jfrog.io/artifactory/api/docker/docker-local/v2/token",
		"acme.jfrog.io:5001/v2/app/tags/list":         "acme.jfrog.io:5001/artifactory/api/docker/docker-local/v2/token",
	} {
		host, _, _ := strings.Cut(address, "/")
		status, header, _ := ask(address, "", "")
		if challenge := fmt.Sprintf(`Bearer realm="https://%s",service=%q`, want, host); status != http.StatusUnauthorized || header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: status %d, challenge %q, want %q", address, status, header.Get("WWW-Authenticate"), challenge)
		}
	}
	const realm, image = "acme.jfrog.io/artifactory/api/docker/docker-local/v2/token?service=acme.jfrog.io&scope=repository:docker-local/app:pull", "/v2/docker-local/app/tags/list"
	for _, login := range [][2]string{{"", ""}, {"puller", "guess"}, {"admin", password}} {
		if status, _, _ := ask(realm, login[0], login[1]); status != http.StatusUnauthorized {
			t.Errorf("%s gets a token: status %d", login[0], status)
		}
	}
	if _, err := j.SeedImage("acme.jfrog.io", "docker-local/app", "v1"); err != nil {
		t.Fatal(err)
	}
	_, _, token := ask(realm, "puller", password)
	for address, want := range map[string]int{
		"acme.jfrog.io" + image: http.StatusOK, "acme.jfrog.io/v2/docker-local/other/tags/list": http.StatusForbidden,
		"acme-docker-local.jfrog.io/v2/app/tags/list": http.StatusUnauthorized,
	} {
		if status, _, _ := ask(address, "Bearer", token); status != want {
			t.Errorf("%s with the token for another: status %d, want %d", address, status, want)
		}
	}
	j.Revoke(issued.ID)
	if status, _, _ := ask("acme.jfrog.io"+image, "Bearer", token); status != http.StatusUnauthorized {
		t.Errorf("a token of a revoked one is taken: status %d", status)
	}
}

func TestJFrogTokensExpire(t *testing.T) {
	clock := newFakeClock()
	j := startJFrog(t, JFrogOptions{Clock: clock.Now})
	admin, _ := j.CreateToken("admin", 24*time.Hour)
	j.SetTokenLife(2 * time.Hour)
	got := postJFrog(t, j, jfrogTokensPath, admin, map[string]any{"expires_in": 60})
	if got.ExpiresIn != 7200 {
		t.Errorf("expires in %d", got.ExpiresIn)
	}
	clock.Step(2 * time.Hour)
	if j.IsLive(got.AccessToken) || !j.IsLive(admin) {
		t.Error("want the token of two hours dead, and the other alive")
	}
	wantCount(t, "live tokens", j.LiveTokens(), 1)
	if got := postJFrog(t, j, jfrogTokensPath, got.AccessToken, nil); got.status != http.StatusUnauthorized {
		t.Errorf("a dead token gave status %d", got.status)
	}
}
