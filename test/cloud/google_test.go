package cloud

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const googlePuller = "pull@my-project.iam.gserviceaccount.com"

var googlePool = GoogleIdentityProvider{
	Name: "projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster", Issuer: issuer,
}

func startGoogle(t *testing.T, opts GoogleOptions) *Google {
	t.Helper()
	return started(t, StartGoogle, opts)
}

// googleAnswer is what came back from a service: its status, its fields, and its header.
type googleAnswer struct {
	status int
	fields map[string]any
	header http.Header
}

// code is that of OAuth 2.0 or of the APIs.
func (a googleAnswer) code() string {
	switch e := a.fields["error"].(type) {
	case string:
		return e
	case map[string]any:
		return fmt.Sprint(e["status"])
	}
	return ""
}

func (a googleAnswer) text(field string) string {
	s, _ := a.fields[field].(string)
	return s
}

func googleDo(t *testing.T, g *Google, req *http.Request) googleAnswer {
	t.Helper()
	transport := g.Transport()
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := googleAnswer{status: res.StatusCode, header: res.Header}
	_ = json.Unmarshal(body, &answer.fields) // a registry answers in text, too
	return answer
}

func googlePost(t *testing.T, g *Google, url, bearer, contentType, body string) googleAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if bearer != "" {
		req.Header.Set("Authorization", bearer)
	}
	return googleDo(t, g, req)
}

func googleForm(subjectToken string, changes map[string]string) string {
	form := url.Values{
		"grant_type": {exchangeGrant}, "audience": {"//iam.googleapis.com/" + googlePool.Name}, "scope": {googleScope},
		"requested_token_type": {accessTokenType}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {subjectToken},
	}
	for k, v := range changes {
		form.Set(k, v)
	}
	return form.Encode()
}

func googleExchange(t *testing.T, g *Google, subjectToken string, changes map[string]string) googleAnswer {
	t.Helper()
	return googlePost(t, g, "https://sts.googleapis.com/v1/token", "", "application/x-www-form-urlencoded", googleForm(subjectToken, changes))
}

func TestGoogleExchange(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	g.AddIdentityProvider(googlePool)
	cluster := GoogleCluster{Name: GoogleClusterName, Issuer: issuer}
	g.AddCluster(cluster)
	good := identityToken(t, issuer, subject, "https://iam.googleapis.com/"+googlePool.Name, 2*time.Hour)
	inCluster := map[string]string{"audience": "identitynamespace:my-project.svc.id.goog:https://container.googleapis.com/v1/" + GoogleClusterName}

	answer := googleExchange(t, g, good, nil)
	if answer.status != http.StatusOK || answer.fields["expires_in"] != float64(3600) || !strings.HasPrefix(answer.text("access_token"), CanaryGoogle) {
		t.Errorf("status %d, expires in %v", answer.status, answer.fields["expires_in"])
	}
	if member := g.Tokens()[0].Member; member != googlePool.Member(subject) {
		t.Errorf("member %s", member)
	}
	short := googleExchange(t, g, identityToken(t, issuer, subject, "https://iam.googleapis.com/"+googlePool.Name, 15*time.Minute), nil)
	if life, ok := short.fields["expires_in"].(float64); !ok || life > 900 || life < 840 {
		t.Errorf("the token outlives its subject's: %v", short.fields["expires_in"])
	}
	if a := googleExchange(t, g, identityToken(t, issuer, subject, "my-project.svc.id.goog", time.Hour), inCluster); a.status != http.StatusOK {
		t.Errorf("in a cluster: status %d, %s", a.status, a.code())
	}
	tokens := g.Tokens()
	if member := tokens[len(tokens)-1].Member; member != "serviceAccount:my-project.svc.id.goog[team/puller]" {
		t.Errorf("member %s", member)
	}
	for name, c := range map[string]struct {
		token   string
		changes map[string]string
		code    string
	}{
		"unknown provider":        {good, map[string]string{"audience": "//iam.googleapis.com/projects/1"}, "invalid_target"},
		"unknown cluster":         {good, map[string]string{"audience": inCluster["audience"] + "x"}, "invalid_target"},
		"other project's cluster": {good, map[string]string{"audience": "identitynamespace:x.svc.id.goog:https://container.googleapis.com/v1/" + GoogleClusterName}, "invalid_target"},
		"issuer":                  {identityToken(t, "https://other.example", subject, "https://iam.googleapis.com/"+googlePool.Name, time.Hour), nil, "invalid_grant"},
		"audience":                {identityToken(t, issuer, subject, audience, time.Hour), nil, "invalid_grant"},
		"audience of a cluster":   {good, inCluster, "invalid_grant"},
		"expired":                 {identityToken(t, issuer, subject, "https://iam.googleapis.com/"+googlePool.Name, -time.Minute), nil, "invalid_grant"},
		"subject of a cluster":    {identityToken(t, issuer, "somebody", "my-project.svc.id.goog", time.Hour), inCluster, "invalid_grant"},
		"no JWT":                  {"x", nil, "invalid_request"},
		"grant type":              {good, map[string]string{"grant_type": "password"}, "invalid_request"},
		"scope":                   {good, map[string]string{"scope": "email"}, "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := googleExchange(t, g, c.token, c.changes); a.status != http.StatusBadRequest || a.code() != c.code {
				t.Errorf("status %d, code %s, want 400 and %s", a.status, a.code(), c.code)
			}
		})
	}
	g.AddIdentityProvider(GoogleIdentityProvider{Name: googlePool.Name, Issuer: issuer, Subjects: []string{"other"}})
	if a := googleExchange(t, g, good, nil); a.code() != "unauthorized_client" {
		t.Errorf("against the attribute condition: %d %s", a.status, a.code())
	}
	a := googlePost(t, g, "https://sts.googleapis.com/v1/token", "Basic eDp5", "application/x-www-form-urlencoded", googleForm(good, nil))
	if a.code() != "invalid_request" {
		t.Errorf("with client authentication: %d %s", a.status, a.code())
	}
}

// googleToken is an access token of the ambient service account.
func googleToken(t *testing.T, g *Google) string {
	t.Helper()
	value, _ := g.tokens.mint(GoogleMember(GoogleAmbientAccount), googleScope, g.clock.now(), time.Hour)
	return value
}

func generateAccessToken(t *testing.T, g *Google, bearer, email, body string) googleAnswer {
	t.Helper()
	return googlePost(t, g, "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+email+":generateAccessToken",
		"Bearer "+bearer, "application/json", body)
}

func TestGoogleImpersonation(t *testing.T) {
	clock := newFakeClock()
	g := startGoogle(t, GoogleOptions{Clock: clock.Now})
	ambient := GoogleMember(GoogleAmbientAccount)
	g.AddServiceAccount(GoogleServiceAccount{Email: googlePuller, Impersonators: []string{ambient}})
	g.AddServiceAccount(GoogleServiceAccount{Email: "long@my-project.iam.gserviceaccount.com", Impersonators: []string{ambient}, ExtendedLifetime: true})
	g.AddServiceAccount(GoogleServiceAccount{Email: "off@my-project.iam.gserviceaccount.com", Impersonators: []string{ambient}, Disabled: true})
	g.AddServiceAccount(GoogleServiceAccount{Email: "closed@my-project.iam.gserviceaccount.com"})
	token := googleToken(t, g)
	body := func(lifetime string) string {
		return `{"scope":["` + googleScope + `"],"lifetime":"` + lifetime + `"}`
	}
	for name, c := range map[string]struct {
		bearer, email, body string
		status              int
		code                string
		life                time.Duration
	}{
		"an hour":              {token, googlePuller, body("3600s"), 200, "", time.Hour},
		"no lifetime":          {token, googlePuller, `{"scope":["` + googleScope + `"]}`, 200, "", time.Hour},
		"12 hours":             {token, "long@my-project.iam.gserviceaccount.com", body("43200s"), 200, "", 12 * time.Hour},
		"too long":             {token, googlePuller, body("3601s"), 400, "INVALID_ARGUMENT", 0},
		"too long for anybody": {token, "long@my-project.iam.gserviceaccount.com", body("43201s"), 400, "INVALID_ARGUMENT", 0},
		"no scope":             {token, googlePuller, `{"lifetime":"3600s"}`, 400, "INVALID_ARGUMENT", 0},
		"no role":              {token, "closed@my-project.iam.gserviceaccount.com", body("3600s"), 403, "PERMISSION_DENIED", 0},
		"nobody":               {token, "nobody@my-project.iam.gserviceaccount.com", body("3600s"), 403, "PERMISSION_DENIED", 0},
		"disabled":             {token, "off@my-project.iam.gserviceaccount.com", body("3600s"), 400, "FAILED_PRECONDITION", 0},
		"unknown token":        {"x", googlePuller, body("3600s"), 401, "UNAUTHENTICATED", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := generateAccessToken(t, g, c.bearer, c.email, c.body)
			if a.status != c.status || a.code() != c.code {
				t.Fatalf("status %d, code %s, want %d and %s", a.status, a.code(), c.status, c.code)
			}
			if want := clock.Now().Add(c.life).UTC().Format(time.RFC3339); c.status == 200 && a.text("expireTime") != want {
				t.Errorf("expires at %s, want %s", a.text("expireTime"), want)
			}
		})
	}
	clock.Step(time.Hour)
	if a := generateAccessToken(t, g, token, googlePuller, body("3600s")); a.code() != "UNAUTHENTICATED" {
		t.Errorf("with a dead token: %d %s", a.status, a.code())
	}
}

func TestGoogleKeys(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	g.AddServiceAccount(GoogleServiceAccount{Email: googlePuller})
	var file map[string]string
	raw, err := g.NewKey(googlePuller)
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(file["private_key"]))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	grant := func(changes jwt.MapClaims) googleAnswer {
		claims := jwt.MapClaims{"iss": googlePuller, "scope": googleScope, "aud": googleOAuthURL, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		maps.Copy(claims, changes)
		assertion := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
		assertion.Header["kid"] = file["private_key_id"]
		signed, err := assertion.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return googlePost(t, g, googleOAuthURL, "", "application/x-www-form-urlencoded",
			url.Values{"grant_type": {googleJWTGrant}, "assertion": {signed}}.Encode())
	}
	if a := grant(nil); a.status != 200 || !g.IsLive(a.text("access_token")) || g.Tokens()[0].Member != GoogleMember(googlePuller) {
		t.Errorf("status %d, code %s", a.status, a.code())
	}
	for name, changes := range map[string]jwt.MapClaims{
		"another's":      {"iss": GoogleAmbientAccount},
		"audience":       {"aud": "https://other.example"},
		"expired":        {"iat": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(-time.Hour).Unix()},
		"from to-morrow": {"iat": now.Add(time.Hour).Unix(), "exp": now.Add(2 * time.Hour).Unix()},
		"too long":       {"exp": now.Add(2 * time.Hour).Unix()},
	} {
		if a := grant(changes); a.status != 400 || a.code() != "invalid_grant" {
			t.Errorf("%s: status %d, code %s", name, a.status, a.code())
		}
	}
	g.DeleteKeys(googlePuller)
	if a := grant(nil); a.code() != "invalid_grant" {
		t.Errorf("with a deleted key: status %d, code %s", a.status, a.code())
	}
}

func googleMetadata(t *testing.T, g *Google, path, flavor string) googleAnswer {
	t.Helper()
	address := strings.TrimPrefix(g.Env()[0], "GCE_METADATA_HOST=")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/computeMetadata/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if flavor != "" {
		req.Header.Set("Metadata-Flavor", flavor)
	}
	return googleDo(t, g, req)
}

func TestTheMetadataServerRepeatsItsToken(t *testing.T) {
	clock := newFakeClock()
	g := startGoogle(t, GoogleOptions{Clock: clock.Now})
	get := func() (string, any) {
		a := googleMetadata(t, g, "instance/service-accounts/default/token", "Google")
		return a.text("access_token"), a.fields["expires_in"]
	}
	first, life := get()
	if life != float64(3600) || !g.IsLive(first) {
		t.Errorf("expires in %v", life)
	}
	clock.Step(time.Hour - 4*time.Minute - time.Second)
	if again, left := get(); again != first || left != float64(241) {
		t.Errorf("with 241s left another token: %t, expires in %v", again != first, left)
	}
	clock.Step(time.Second)
	second, life := get()
	if second == first || life != float64(3600) {
		t.Errorf("with 4m left the same token: %t, expires in %v", second == first, life)
	}
	if !g.IsLive(first) {
		t.Error("the old token died with the new")
	}
	if a := googleMetadata(t, g, "instance/service-accounts/default/token", ""); a.status != http.StatusForbidden {
		t.Errorf("without the header: status %d", a.status)
	}
	if a := googleMetadata(t, g, "instance/attributes/other", "Google"); a.status != http.StatusNotFound {
		t.Errorf("unknown: status %d", a.status)
	}
	g.SetNodeCluster("")
	if a := googleMetadata(t, g, "instance/attributes/cluster-name", "Google"); a.status != http.StatusNotFound {
		t.Errorf("outside of GKE: status %d", a.status)
	}
}

func TestTestIamPermissions(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	const apps = "projects/my-project/locations/us/repositories/apps"
	g.SetPull(GoogleMember(GoogleAmbientAccount), apps)
	ask := func(repository, bearer, permission string) googleAnswer {
		return googlePost(t, g, "https://artifactregistry.googleapis.com/v1/"+repository+":testIamPermissions",
			"Bearer "+bearer, "application/json", `{"permissions":["`+permission+`"]}`)
	}
	token := googleToken(t, g)
	granted := func(a googleAnswer) bool {
		list, _ := a.fields["permissions"].([]any)
		return a.status == http.StatusOK && slices.Equal(list, []any{googleDownload})
	}
	if !granted(ask(apps, token, googleDownload)) {
		t.Error("the permission is not granted")
	}
	for name, a := range map[string]googleAnswer{
		"other repository": ask(apps+"2", token, googleDownload),
		"other permission": ask(apps, token, "artifactregistry.repositories.uploadArtifacts"),
	} {
		if granted(a) || a.status != http.StatusOK {
			t.Errorf("%s: status %d, granted %t", name, a.status, granted(a))
		}
	}
	if a := ask(apps, "x", googleDownload); a.code() != "UNAUTHENTICATED" {
		t.Errorf("with an unknown token: %d %s", a.status, a.code())
	}
	g.SetAPIDisabled(true)
	if a := ask(apps, token, googleDownload); a.code() != "PERMISSION_DENIED" {
		t.Errorf("with the API off: %d %s", a.status, a.code())
	}
}

func googleGet(t *testing.T, g *Google, url, authorization string) googleAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return googleDo(t, g, req)
}

func TestGoogleRegistries(t *testing.T) {
	clock := newFakeClock()
	g := startGoogle(t, GoogleOptions{Clock: clock.Now})
	g.SetPull(GoogleMember(GoogleAmbientAccount),
		"projects/my-project/locations/europe-west1/repositories/apps", "projects/my-project/locations/europe/repositories/eu.gcr.io")
	token := googleToken(t, g)
	images := map[string]string{"europe-west1-docker.pkg.dev": "my-project/apps/app", "eu.gcr.io": "my-project/app"}
	for host, image := range images {
		want, err := g.SeedImage(host, image, "v1")
		if err != nil {
			t.Fatal(err)
		}
		for _, username := range []string{"oauth2accesstoken", "_token"} {
			got, err := Pull(t.Context(), g.Transport(), dockerConfig(t, host, username, token), host+"/"+image+":v1")
			if err != nil || got != want {
				t.Errorf("%s as %s: pulled %q, %v", host, username, got, err)
			}
		}
		if _, err := Pull(t.Context(), g.Transport(), dockerConfig(t, host, "AWS", token), host+"/"+image+":v1"); err == nil {
			t.Errorf("%s takes any username", host)
		}
	}

	for host, want := range map[string]string{
		"europe-west1-docker.pkg.dev": `Bearer realm="https://europe-west1-docker.pkg.dev/v2/token"`,
		"gcr.io":                      `Bearer realm="https://gcr.io/v2/token",service=gcr.io`,
	} {
		a := googleGet(t, g, "https://"+host+"/v2/", "")
		if got := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || got != want {
			t.Errorf("%s: status %d, challenge %q, want %q", host, a.status, got, want)
		}
	}
	manifest := "https://europe-west1-docker.pkg.dev/v2/my-project/apps/app/manifests/v1"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2accesstoken:"+token))
	for name, c := range map[string]struct {
		url, authorization string
		status             int
		challenge          bool
	}{
		"access token as a bearer":    {manifest, "Bearer " + token, http.StatusOK, false},
		"ping with it":                {"https://gcr.io/v2/", "Bearer " + token, http.StatusOK, false},
		"Basic straight away":         {manifest, basic, http.StatusUnauthorized, true},
		"Basic at the token endpoint": {"https://gcr.io/v2/token?scope=repository:my-project/app:pull", basic, http.StatusOK, false},
		"unknown bearer":              {manifest, "Bearer x", http.StatusUnauthorized, true},
		"other repository":            {strings.Replace(manifest, "apps", "tools", 1), "Bearer " + token, http.StatusForbidden, false},
		"other location":              {strings.Replace(manifest, "europe-west1", "us-east1", 1), "Bearer " + token, http.StatusForbidden, false},
		"other host of gcr.io":        {"https://gcr.io/v2/my-project/app/manifests/v1", "Bearer " + token, http.StatusForbidden, false},
	} {
		a := googleGet(t, g, c.url, c.authorization)
		if challenged := a.header.Get("WWW-Authenticate") != ""; a.status != c.status || challenged != c.challenge {
			t.Errorf("%s: status %d, challenge: %t", name, a.status, challenged)
		}
	}

	clock.Step(time.Hour)
	for name, a := range map[string]googleAnswer{
		"bearer": googleGet(t, g, manifest, "Bearer "+token), "Basic at the token endpoint": googleGet(t, g, "https://gcr.io/v2/token", basic),
	} {
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("dead %s: status %d, challenge %q, want 401 without one", name, a.status, a.header.Get("WWW-Authenticate"))
		}
	}
	fresh := googleToken(t, g)
	if !g.Revoke(fresh) || g.IsLive(fresh) || g.Revoke("x") {
		t.Error("a token cannot be revoked")
	}
	fresh = googleToken(t, g)
	g.ExpireAll()
	if a := googleGet(t, g, manifest, "Bearer "+fresh); a.status != http.StatusUnauthorized {
		t.Errorf("with a revoked token: status %d", a.status)
	}
}

func TestGoogleFaults(t *testing.T) {
	g := startGoogle(t, GoogleOptions{})
	g.AddIdentityProvider(googlePool)
	good := identityToken(t, issuer, subject, "https://iam.googleapis.com/"+googlePool.Name, time.Hour)
	g.SetAPIs(Fault{Throttle: 1, RetryAfter: 3 * time.Second})
	if a := googleExchange(t, g, good, nil); a.status != http.StatusTooManyRequests || a.code() != "RESOURCE_EXHAUSTED" || a.header.Get("Retry-After") != "3" {
		t.Errorf("throttled: status %d, code %s, Retry-After %q", a.status, a.code(), a.header.Get("Retry-After"))
	}
	g.SetAPIs(Fault{Outage: OutageServerError})
	if a := generateAccessToken(t, g, "x", googlePuller, "{}"); a.status != http.StatusServiceUnavailable || a.code() != "UNAVAILABLE" {
		t.Errorf("down: status %d, code %s", a.status, a.code())
	}
	g.SetAPIs(Fault{})
	if a := googleExchange(t, g, good, nil); a.status != http.StatusOK {
		t.Errorf("healthy: status %d, code %s", a.status, a.code())
	}
	wantCount(t, "throttled exchanges", g.Calls().WithCode(ActionGoogleExchange, "RESOURCE_EXHAUSTED"), 1)
	g.ResetCalls()
	wantCount(t, "calls after a reset", len(g.Calls()), 0)
}
