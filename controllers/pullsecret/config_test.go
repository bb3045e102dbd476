package pullsecret

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/providers"
)

func holding(content string) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(content)}}
}

// Whatever stands in a Secret: a login that is read is the one that a kubelet would show, and an error says nothing of it.
func FuzzContent(f *testing.F) {
	auth := base64.StdEncoding.EncodeToString([]byte("user:pass:word"))
	f.Add(`{"auths":{"a.example":{"auth":"`+auth+`"}}}`, "a.example")
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"auth":"`+auth+`"}}}`, "docker.io")
	f.Add(`{"auths":{"a.example":{"auth":"`+strings.TrimRight(auth, "=")+`"},"b.example":null}}`, "b.example")
	f.Add(`{"auths":null}`, "")
	f.Fuzz(func(t *testing.T, text, host string) {
		content, err := ParseConfig(holding(text))
		if err != nil {
			if err != errUnreadable { //nolint:errorlint // it is to be this very text
				t.Fatalf("the error is %v", err)
			}
			return
		}
		login, err := content.Login(host)
		if err != nil {
			return
		}
		auths := AuthsOf(providers.Token{Logins: []providers.Login{login}})
		if len(auths) != 1 {
			t.Fatalf("one login has %d entries", len(auths))
		}
		again, err := json.Marshal(Config{Auths: auths})
		if err != nil {
			t.Fatal(err)
		}
		reread, err := ParseConfig(holding(string(again)))
		if err != nil {
			t.Fatalf("what is written cannot be read: %v", err)
		}
		if got, err := reread.Login(host); err != nil || got.Username != login.Username || got.Password != login.Password {
			t.Fatalf("%q: the login is another when it is read again: %v", host, err)
		}
	})
}
