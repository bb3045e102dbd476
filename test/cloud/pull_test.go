package cloud

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestCredentialsForImage(t *testing.T) {
	entry := func(username string) string {
		return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(username+":secret")) + `"}`
	}
	for name, test := range map[string]struct {
		auths, image string
		want         []string
	}{
		"host":            {`"r.example":` + entry("a"), "r.example/app", []string{"a"}},
		"other host":      {`"r.example":` + entry("a"), "s.example/app", nil},
		"sub-domain":      {`"r.example":` + entry("a"), "x.r.example/app", nil},
		"foreign suffix":  {`"r.example":` + entry("a"), "r.example.evil/app", nil},
		"URL":             {`"https://r.example/v1/":` + entry("a"), "r.example/app", []string{"a"}},
		"glob":            {`"*.r.example":` + entry("a"), "x.r.example/app", []string{"a"}},
		"port":            {`"r.example:5000":` + entry("a"), "r.example:5000/app", []string{"a"}},
		"other port":      {`"r.example:5000":` + entry("a"), "r.example/app", nil},
		"path":            {`"r.example/team":` + entry("a"), "r.example/team/app", []string{"a"}},
		"other path":      {`"r.example/team":` + entry("a"), "r.example/other/app", nil},
		"path first":      {`"r.example":` + entry("a") + `,"r.example/team":` + entry("b"), "r.example/team/app", []string{"b", "a"}},
		"username alone":  {`"r.example":{"username":"a","password":"secret"}`, "r.example/app", []string{"a"}},
		"nothing at all":  {``, "r.example/app", nil},
		"by its digest":   {`"r.example":` + entry("a"), "r.example/app@sha256:" + strings.Repeat("0", 64), []string{"a"}},
		"docker.io stays": {`"docker.io":` + entry("a"), "r.example/app", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := usernames(t, `{"auths":{`+test.auths+`}}`, test.image)
			if !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func usernames(t *testing.T, config, image string) []string {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := credentialsFor([]byte(config), ref)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, credential := range credentials {
		auth, err := credential.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, auth.Username)
	}
	return out
}

func TestPullRefusesBadConfigs(t *testing.T) {
	for name, config := range map[string]string{
		"no JSON":    Canary,
		"no base64":  `{"auths":{"r.example":{"auth":"` + Canary + `!"}}}`,
		"no colon":   `{"auths":{"r.example":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(Canary)) + `"}}}`,
		"wrong type": `{"auths":["` + Canary + `"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Pull(t.Context(), nil, []byte(config), "r.example/app:v1")
			if err == nil {
				t.Fatal("no error")
			}
			if ContainsCanary([]byte(err.Error())) {
				t.Error("the error quotes the secret")
			}
		})
	}
}

// TestPullTriesEveryCredential is the case of two entries for one registry of which the more specific one is stale.
func TestPullTriesEveryCredential(t *testing.T) {
	a := startAWS(t, Options{})
	token := mustGetToken(t, sdkConfig(t, a, 1))
	want := seed(t, a, host, "team/app", "v1")
	entry := func(password string) string {
		return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte("AWS:"+password)) + `"}`
	}
	config := `{"auths":{"` + host + `":` + entry(token.password) + `,"` + host + `/team":` + entry("stale") + `}}`
	got, err := Pull(t.Context(), a.Transport(), []byte(config), host+"/team/app:v1")
	if err != nil || got != want {
		t.Errorf("pulled %q, %v, want %s", got, err, want)
	}
	wantCount(t, "pulls refused", a.Calls().PullsRefused(), 1)
	wantCount(t, "pulls accepted", a.Calls().PullsAccepted(), 1)
}
