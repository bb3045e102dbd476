package static

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/regcred/regcred/providers"
)

// Whatever somebody keeps as a docker config: what is read of it is a login that a kubelet can use, and an error quotes no password.
func FuzzDockerConfig(f *testing.F) {
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + "passwordpassword"))
	f.Add(`{"auths":{"r.example":{"auth":"`+auth+`"}}}`, "", "", false)
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p"},"*.example/team":{"auth":"x"}}}`, "a.example", "secretsecret", false)
	f.Add(`{"r.example":{"username":"u","password":"p\n"}}`, "r.example", "", true)
	f.Add(`{"auths":{"r.example":{"identitytoken":"t"}},"credsStore":"desktop"}`, "", "", false)
	f.Add(`{"auths":{"r.example":{"username":"a:b","password":"PASSWORD"}}}`, "r.example", "longlonglong", false)
	f.Fuzz(func(t *testing.T, text, host, password string, legacy bool) {
		key := keyDockerConfig
		if legacy {
			key = keyLegacyConfig
		}
		text = strings.ReplaceAll(text, "PASSWORD", password)
		secret := &providers.Secret{Namespace: "team", Name: "login"}
		var chosen []string
		if host != "" {
			chosen = []string{host}
		}
		config, err := readFile(secret, map[string][]byte{key: []byte(text)}, key)
		var logins []providers.Login
		if err == nil {
			logins, err = config.logins(chosen)
		}
		if err != nil {
			if len(password) > 8 && strings.Contains(err.Error(), password) && !strings.Contains(host, password) {
				t.Errorf("the error quotes the password: %v", err)
			}
			return
		}
		if len(logins) == 0 {
			t.Error("there is neither a login nor an error")
		}
		for _, l := range logins {
			if l.Username == "" || l.Password == "" || len(l.Hosts) == 0 || strings.Contains(l.Username, ":") {
				t.Errorf("a kubelet cannot use the login for %q", l.Hosts)
			}
		}
	})
}
