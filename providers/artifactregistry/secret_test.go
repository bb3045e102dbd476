package artifactregistry_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// external is an external account configuration whose token stands beside it in the Secret, with changes.
func external(t *testing.T, changes map[string]any) map[string]string {
	t.Helper()
	conf := map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/" + pool.Name, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url": "https://sts.googleapis.com/v1/token", "credential_source": map[string]any{"file": "token"},
	}
	maps.Copy(conf, changes)
	raw, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	subjectToken, err := cloud.WebIdentityToken(issuer, subject, "https://iam.googleapis.com/"+pool.Name, time.Now().Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"credentials.json": string(raw), "token": subjectToken + "\n", "token.json": `{"id_token":"` + subjectToken + `"}`}
}

const impersonatePuller = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + puller + ":generateAccessToken"

func TestCredentialsInASecretWork(t *testing.T) {
	for name, c := range map[string]struct {
		data   func(t *testing.T, google *cloud.Google) map[string]string
		member string
		life   time.Duration
	}{
		"service account key": {func(t *testing.T, google *cloud.Google) map[string]string {
			t.Helper()
			return map[string]string{"credentials.json": newKey(t, google, puller)}
		}, cloud.GoogleMember(puller), time.Hour},
		"external account": {func(t *testing.T, _ *cloud.Google) map[string]string {
			t.Helper()
			return external(t, nil)
		}, pool.Member(subject), time.Hour},
		"external account, token in JSON": {func(t *testing.T, _ *cloud.Google) map[string]string {
			t.Helper()
			return external(t, map[string]any{"credential_source": map[string]any{
				"file": "token.json", "format": map[string]string{"type": "json", "subject_token_field_name": "id_token"}}})
		}, pool.Member(subject), time.Hour},
		"external account that impersonates": {func(t *testing.T, _ *cloud.Google) map[string]string {
			t.Helper()
			return external(t, map[string]any{"service_account_impersonation_url": impersonatePuller,
				"service_account_impersonation": map[string]int{"token_lifetime_seconds": 1800}})
		}, cloud.GoogleMember(puller), 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller, Impersonators: []string{pool.Member(subject)}})
			id := secret(c.data(t, google))
			first, second := mustToken(t, google, request(v1alpha1.ArtifactRegistry{}, id)), mustToken(t, google, request(v1alpha1.ArtifactRegistry{}, id))
			if last := lastMember(google); last != c.member {
				t.Errorf("the token is %s's, want %s's", last, c.member)
			}
			if life := time.Until(first.ExpiresAt); life < c.life-time.Minute || life > c.life {
				t.Errorf("the token lives for %s, want %s", life, c.life)
			}
			if first.Logins[0].Password == second.Logins[0].Password {
				t.Error("the second request got the first one's token: remembering is the Broker's part")
			}
		})
	}
}

// A Secret is written by a tenant: it must not be able to make the controller read a file, run a program, use the identity of its node
// or send anything anywhere but to Google.
func TestATenantsCredentialsReachNothingOfTheControllers(t *testing.T) {
	private := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(private, []byte(cloud.CanarySTS+"file"), 0o600); err != nil {
		t.Fatal(err)
	}
	touched := filepath.Join(t.TempDir(), "touched")
	t.Setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", cloud.CanarySTS+"aws")
	t.Setenv("AWS_REGION", "eu-west-1")
	source := func(s map[string]any) map[string]any { return map[string]any{"credential_source": s} }
	for name, c := range map[string]struct {
		changes map[string]any
		says    string
	}{
		"file":                    {source(map[string]any{"file": private}), "no file of the controller is read"},
		"file of the pod":         {source(map[string]any{"file": "/var/run/secrets/kubernetes.io/serviceaccount/token"}), "no file of the controller is read"},
		"itself":                  {source(map[string]any{"file": "credentials.json"}), "no file of the controller is read"},
		"no source":               {source(map[string]any{}), "no file of the controller is read"},
		"URL":                     {source(map[string]any{"url": "http://169.254.169.254/latest/meta-data"}), "does not follow for others"},
		"URL beside a file":       {source(map[string]any{"file": "token", "url": "https://evil.example"}), "does not follow for others"},
		"executable":              {source(map[string]any{"executable": map[string]any{"command": "/usr/bin/touch " + touched}}), "does not follow for others"},
		"certificate":             {source(map[string]any{"certificate": map[string]any{"certificate_config_location": private}}), "does not follow for others"},
		"AWS":                     {source(map[string]any{"environment_id": "aws1", "regional_cred_verification_url": "https://evil.example"}), "does not follow for others"},
		"AWS token type":          {map[string]any{"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}, "subject_token_type"},
		"token URL":               {map[string]any{"token_url": "https://evil.example/v1/token"}, "googleapis.com only"},
		"token URL in disguise":   {map[string]any{"token_url": "https://sts.googleapis.com.evil.example/v1/token"}, "googleapis.com only"},
		"token URL with a user":   {map[string]any{"token_url": "https://sts.googleapis.com@evil.example/v1/token"}, "googleapis.com only"},
		"token URL without TLS":   {map[string]any{"token_url": "http://sts.googleapis.com/v1/token"}, "googleapis.com only"},
		"impersonation elsewhere": {map[string]any{"service_account_impersonation_url": "https://evil.example/v1/projects/-/serviceAccounts/" + puller + ":generateAccessToken"}, "iamcredentials.googleapis.com"},
		"impersonation in disguise": {map[string]any{"service_account_impersonation_url": strings.Replace(impersonatePuller, puller, "x@evil.example", 1)},
			"iamcredentials.googleapis.com"},
		"audience":        {map[string]any{"audience": "//evil.example/x"}, "audience"},
		"client secret":   {map[string]any{"client_id": "x", "client_secret": cloud.CanaryGoogle + "x"}, "is for people"},
		"workforce":       {map[string]any{"workforce_pool_user_project": "x"}, "is for people"},
		"another cloud":   {map[string]any{"universe_domain": "evil.example"}, "another universe"},
		"user":            {map[string]any{"type": "authorized_user", "refresh_token": cloud.CanaryGoogle + "x"}, "another type"},
		"impersonated":    {map[string]any{"type": "impersonated_service_account"}, "another type"},
		"GDCH":            {map[string]any{"type": "gdch_service_account", "ca_cert_path": private, "token_uri": "https://evil.example"}, "another type"},
		"no type":         {map[string]any{"type": ""}, "another type"},
		"key's token URI": {map[string]any{"type": "service_account", "client_email": puller, "private_key": "x", "token_uri": "https://evil.example"}, "token_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			google := startGoogle(t)
			google.AddIdentityProvider(pool)
			_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, secret(external(t, c.changes))))
			wantFailure(t, err, v1alpha1.ReasonIdentityInvalid, "Secret team-a/keys", c.says)
			if strings.Contains(err.Error(), "evil") {
				t.Errorf("%q repeats what a tenant wrote", err)
			}
			if calls := google.Calls(); len(calls) > 0 {
				t.Errorf("Google was asked: %v", calls)
			}
			if _, err := os.Stat(touched); err == nil {
				t.Error("a program was run")
			}
		})
	}
}

func TestBadSecretsAreExplained(t *testing.T) {
	google := startGoogle(t)
	google.AddIdentityProvider(pool)
	google.AddServiceAccount(cloud.GoogleServiceAccount{Email: puller})
	deleted := newKey(t, google, puller)
	google.DeleteKeys(puller)
	key := func(changes map[string]any) string {
		conf := map[string]any{"type": "service_account", "client_email": puller, "private_key": cloud.CanaryGoogle + "no-key"}
		maps.Copy(conf, changes)
		raw, err := json.Marshal(conf)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, c := range map[string]struct {
		data   map[string]string
		reason string
		says   []string
	}{
		"no key":              {nil, v1alpha1.ReasonIdentityInvalid, []string{"Secret team-a/keys lacks the key credentials.json: add it"}},
		"no JSON":             {map[string]string{"credentials.json": cloud.CanaryGoogle}, v1alpha1.ReasonIdentityInvalid, []string{"no JSON in credentials.json"}},
		"no private key":      {map[string]string{"credentials.json": key(map[string]any{"private_key": ""})}, v1alpha1.ReasonIdentityInvalid, []string{"lacks client_email or private_key"}},
		"private key no PEM":  {map[string]string{"credentials.json": key(nil)}, v1alpha1.ReasonIdentityInvalid, []string{"private_key in credentials.json that is none"}},
		"enormous key":        {map[string]string{"credentials.json": key(map[string]any{"private_key": strings.Repeat("A", 9<<10)})}, v1alpha1.ReasonIdentityInvalid, []string{"a private key of more than 8192 bits"}},
		"no email":            {map[string]string{"credentials.json": key(map[string]any{"client_email": "x"})}, v1alpha1.ReasonIdentityInvalid, []string{"lacks client_email"}},
		"deleted key":         {map[string]string{"credentials.json": deleted}, v1alpha1.ReasonAccessDenied, []string{"the key in Secret team-a/keys", "(invalid_grant)", "create a new key", "clock"}},
		"token of no trust":   {merge(external(t, nil), map[string]string{"token": mustWebIdentity(t, "https://other.example")}), v1alpha1.ReasonAccessDenied, []string{pool.Name, "(invalid_grant)", "live one of the provider's issuer"}},
		"field that is empty": {external(t, map[string]any{"credential_source": map[string]any{"file": "token.json", "format": map[string]string{"type": "json", "subject_token_field_name": "x"}}}), v1alpha1.ReasonIdentityInvalid, []string{"holds no token"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := token(t, google, request(v1alpha1.ArtifactRegistry{}, secret(c.data)))
			wantFailure(t, err, c.reason, c.says...)
		})
	}
}

func merge(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func mustWebIdentity(t *testing.T, issuer string) string {
	t.Helper()
	made, err := cloud.WebIdentityToken(issuer, subject, "https://iam.googleapis.com/"+pool.Name, time.Now().Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return made
}
