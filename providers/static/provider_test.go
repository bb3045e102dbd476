package static_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/test/cloud"
)

const canary = cloud.CanaryDockerHub

var now = time.Date(2031, time.May, 4, 10, 0, 0, 0, time.UTC)

func request(spec v1alpha1.Static, data map[string]string) providers.Request {
	return providers.Request{
		Registry: v1alpha1.Registry{Name: "hub", Static: &spec},
		Identity: providers.Identity{Secret: &providers.Secret{
			Namespace: "team-a", Name: "source", DataHash: "1",
			Data: func(context.Context) (map[string][]byte, error) {
				raw := map[string][]byte{}
				for k, v := range data {
					raw[k] = []byte(v)
				}
				return raw, nil
			},
		}},
	}
}

func ask(t *testing.T, spec v1alpha1.Static, data map[string]string) (providers.Token, error) {
	t.Helper()
	return static.New(clocktesting.NewFakePassiveClock(now)).Token(t.Context(), request(spec, data))
}

// config is a docker config with these entries, each in JSON.
func config(entries map[string]string) map[string]string {
	auths := map[string]json.RawMessage{}
	for key, e := range entries {
		auths[key] = json.RawMessage(e)
	}
	raw, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		panic(err)
	}
	return map[string]string{".dockerconfigjson": string(raw)}
}

// auth is the entry of a user, whose password is the canary and the user's name.
func auth(user string) string {
	return fmt.Sprintf(`{"auth":%q}`, base64.StdEncoding.EncodeToString([]byte(user+":"+canary+user)))
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// signed is a JWT that ends after the life.
func signed(life time.Duration) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": now.Add(life).Unix(), "canary": canary}).SignedString([]byte("k"))
	if err != nil {
		panic(err)
	}
	return token
}

// places are the hosts by username.
func places(token providers.Token) map[string][]string {
	byUser := map[string][]string{}
	for _, l := range token.Logins {
		byUser[l.Username] = append(byUser[l.Username], l.Hosts...)
	}
	return byUser
}

func TestAUsernameAndPasswordAreForTheHostsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		spec v1alpha1.Static
		want []string
	}{
		"one":                    {v1alpha1.Static{Host: "registry.example.com:5000"}, []string{"registry.example.com:5000"}},
		"several":                {v1alpha1.Static{Hosts: []v1alpha1.Host{"a.example.com", "b.example.com"}}, []string{"a.example.com", "b.example.com"}},
		"Docker Hub's one name":  {v1alpha1.Static{Host: "index.docker.io"}, []string{"docker.io"}},
		"Docker Hub's all names": {v1alpha1.Static{Hosts: []v1alpha1.Host{"docker.io", "index.docker.io", "registry-1.docker.io"}}, []string{"docker.io"}},
	} {
		token, err := ask(t, c.spec, map[string]string{"username": "ci", "password": canary + "x"})
		if err != nil {
			t.Fatal(err)
		}
		want := providers.Token{
			Logins:    []providers.Login{{Username: "ci", Password: canary + "x", Hosts: c.want}},
			ExpiresAt: providers.Never, Copied: true,
		}
		if diff := cmp.Diff(want, token); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheEndOfALineIsNoPartOfAPassword(t *testing.T) {
	for what, password := range map[string]string{"LF": "secret\n", "CRLF": "secret\r\n", "none": "secret"} {
		token, err := ask(t, v1alpha1.Static{Host: "docker.io"}, map[string]string{"username": "ci\n", "password": password})
		if err != nil || token.Logins[0].Password != "secret" || token.Logins[0].Username != "ci" {
			t.Errorf("%s: %v", what, err)
		}
	}
	token, err := ask(t, v1alpha1.Static{Host: "docker.io"}, map[string]string{"username": "ci", "password": " secret \n"})
	if err != nil || token.Logins[0].Password != " secret " {
		t.Errorf("more than the end of the line was taken: %v", err)
	}
}

func TestADockerConfigIsPublishedAsTheKubeletReadsIt(t *testing.T) {
	token, err := ask(t, v1alpha1.Static{}, config(map[string]string{
		"https://index.docker.io/v1/":              auth("hub"),
		"docker.io":                                auth("hub"),
		"https://index.docker.io/v1/access-token":  `{"username":"hub","password":"` + signed(-time.Hour) + `"}`,
		"https://index.docker.io/v1/refresh-token": auth("hub"),
		"https://ghcr.io":                          auth("bot"),
		"http://registry.example.com:5000/v2/":     auth("bot"),
		"quay.io/team":                             auth("team"),
		"*.example.com":                            auth("glob"),
		"plain.example":                            `{"username":"plain","password":"` + canary + `plain","email":"a@b"}`,
		"auth.example":                             `{"username":"other","password":"x",` + auth("first")[1:],
		"unpadded.example":                         strings.ReplaceAll(auth("unpadded"), "=", ""),
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"hub": {"docker.io"}, "bot": {"ghcr.io", "registry.example.com:5000"}, "team": {"quay.io/team"}, "glob": {"*.example.com"},
		"plain": {"plain.example"}, "first": {"auth.example"}, "unpadded": {"unpadded.example"},
	}
	if diff := cmp.Diff(want, places(token)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, l := range token.Logins {
		if l.Password != providers.Sensitive(canary+l.Username) {
			t.Errorf("%s has another's password", l.Username)
		}
	}
	if len(token.Logins) != len(want) {
		t.Errorf("%d logins, want one for each of %d users", len(token.Logins), len(want))
	}
}

// Docker Hub has many names, and tools look for the one that they know.
func TestDockerHubsKeysStayAsTheSourceWritesThem(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		want []string
	}{
		"the usual":      {[]string{"https://index.docker.io/v1/"}, []string{"docker.io"}},
		"both":           {[]string{"https://index.docker.io/v1/", "https://registry-1.docker.io"}, []string{"docker.io", "https://registry-1.docker.io"}},
		"another alone":  {[]string{"registry-1.docker.io"}, []string{"docker.io", "registry-1.docker.io"}},
		"with a version": {[]string{"https://registry-1.docker.io/v2/", "index.docker.io"}, []string{"docker.io", "https://registry-1.docker.io/v2/", "index.docker.io"}},
		"with a path":    {[]string{"https://index.docker.io/v1/team"}, []string{"docker.io/team"}},
	} {
		entries := map[string]string{}
		for _, key := range c.keys {
			entries[key] = auth("hub")
		}
		for kind, spec := range map[string]v1alpha1.Static{"all": {}, "chosen": {Host: "docker.io"}} {
			token, err := ask(t, spec, config(entries))
			if err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			got := token.Hosts()
			slices.Sort(got[1:])
			slices.Sort(c.want[1:])
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, kind, diff)
			}
		}
	}
}

func TestTheLegacyConfigIsASource(t *testing.T) {
	token, err := ask(t, v1alpha1.Static{}, map[string]string{".dockercfg": `{"quay.io":` + auth("bot") + `,"https://index.docker.io/v1/":` + auth("hub") + `}`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string][]string{"hub": {"docker.io"}, "bot": {"quay.io"}}, places(token)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What an editor or `echo … | base64` leaves in a docker config is no part of a credential; what has been wrapped is.
func TestACredentialIsWhatSomebodyTyped(t *testing.T) {
	for name, c := range map[string]struct{ entry, password string }{
		"wrapped":              {`{"auth":"Y2FzZS1ib3Q6\nY2FzZS1wYXNzd29yZA=="}`, "case-password"},
		"colon, dollar, ö":     {`{"auth":"Y2FzZS1ib3Q6cGE6c3Mkd29yZMO8"}`, "pa:ss$wordü"},
		"line feed in auth":    {`{"auth":"Y2FzZS1ib3Q6Y2FzZS1wYXNzd29yZAo="}`, "case-password"},
		"CR and LF in auth":    {`{"auth":"Y2FzZS1ib3Q6Y2FzZS1wYXNzd29yZA0K"}`, "case-password"},
		"line feed in a field": {`{"username":"case-bot","password":"case-password\n"}`, "case-password"},
	} {
		token, err := ask(t, v1alpha1.Static{}, config(map[string]string{"registry.example.com": c.entry}))
		if err != nil || token.Logins[0].Username != "case-bot" || token.Logins[0].Password.Reveal() != c.password {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostsAreChosenFromADockerConfig(t *testing.T) {
	source := config(map[string]string{
		"https://index.docker.io/v1/": auth("hub"),
		"quay.io":                     auth("quay"),
		"quay.io/team":                auth("team"),
		"*.example.com":               auth("glob"),
		"b.example.com":               auth("exact"),
		"*.example.com:5000":          auth("port"),
		"broken.example":              `{"auth":"` + canary + `!"}`,
		"what is this?":               auth("odd"),
	})
	for name, c := range map[string]struct {
		hosts []v1alpha1.Host
		want  map[string][]string
	}{
		"Docker Hub":           {[]v1alpha1.Host{"docker.io"}, map[string][]string{"hub": {"docker.io"}}},
		"with its paths":       {[]v1alpha1.Host{"quay.io"}, map[string][]string{"quay": {"quay.io"}, "team": {"quay.io/team"}}},
		"by a glob":            {[]v1alpha1.Host{"a.example.com"}, map[string][]string{"glob": {"a.example.com"}}},
		"exact before a glob":  {[]v1alpha1.Host{"b.example.com"}, map[string][]string{"exact": {"b.example.com"}}},
		"a port is no other's": {[]v1alpha1.Host{"a.example.com:5000"}, map[string][]string{"port": {"a.example.com:5000"}}},
		"two":                  {[]v1alpha1.Host{"docker.io", "a.example.com"}, map[string][]string{"hub": {"docker.io"}, "glob": {"a.example.com"}}},
	} {
		token, err := ask(t, v1alpha1.Static{Hosts: c.hosts}, source)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, places(token)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheExpiryOfAJWTIsItsOwn(t *testing.T) {
	jwtConfig := config(map[string]string{
		"a.example": `{"username":"a","password":"` + signed(2*time.Hour) + `"}`,
		"b.example": `{"username":"b","password":"` + signed(time.Hour) + `"}`,
		"c.example": auth("c"),
	})
	token, err := ask(t, v1alpha1.Static{}, jwtConfig)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Add(time.Hour); !token.ExpiresAt.Equal(want) || !token.RenewableAt.Equal(want) {
		t.Errorf("expires at %s, is renewable at %s; want %s for both", token.ExpiresAt, token.RenewableAt, want)
	}
	_, rest, _ := strings.Cut(signed(time.Hour), ".")
	unknown := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"XX25519"}`)) + "." + rest
	if token, err := ask(t, v1alpha1.Static{Host: "a.example"}, map[string]string{"username": "a", "password": unknown}); err != nil || !token.ExpiresAt.Equal(now.Add(time.Hour)) {
		t.Errorf("signed in a way that is not known here: expires at %s: %v", token.ExpiresAt, err)
	}
	noExpiry, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "x"}).SignedString([]byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	for what, password := range map[string]string{"JWT without expiry": noExpiry, "no JWT": "a.b.c", "token": canary} {
		token, err := ask(t, v1alpha1.Static{Host: "a.example"}, map[string]string{"username": "a", "password": password})
		if err != nil || !token.ExpiresAt.Equal(providers.Never) || !token.RenewableAt.IsZero() {
			t.Errorf("%s: expires at %s: %v", what, token.ExpiresAt, err)
		}
	}
}

func TestADataErrorIsPassedOn(t *testing.T) {
	req := request(v1alpha1.Static{Host: "docker.io"}, nil)
	gone := providers.Errorf(v1alpha1.ReasonIdentityNotFound, "gone")
	req.Identity.Secret.Data = func(context.Context) (map[string][]byte, error) { return nil, gone }
	if _, err := static.New(clocktesting.NewFakePassiveClock(now)).Token(t.Context(), req); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	req.Identity.Secret = nil
	_, err := static.New(clocktesting.NewFakePassiveClock(now)).Token(t.Context(), req)
	if reason(err) != v1alpha1.ReasonIdentityInvalid || !strings.Contains(err.Error(), "identity.secretRef") {
		t.Errorf("without a Secret: %v", err)
	}
}

func reason(err error) string {
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return known.Reason
	}
	return ""
}
