package plugin

import (
	"bytes"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/providers"
)

var fuzzNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Whatever a plugin answers: each login of it is one that a Secret can hold, for hosts that were asked for, with an end that can be written.
func FuzzAnswer(f *testing.F) {
	for _, auth := range []string{
		`"*.example":{"username":"u","password":"p"}`, `"r.example/team":{"username":"u","password":"p"},"r.example":{"username":"u:v","password":"p"}`,
		`"https://r.example/v2/team":{"username":"","password":"eyJhbGciOiJub25lIn0.eyJleHAiOjJ9."}`, `"index.docker.io":{"username":"u","password":""}`, `"[":{}`,
	} {
		f.Add(`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"6h","auth":{`+auth+`}}`, "r.example/team/app")
	}
	f.Add(`{}`, "docker.io/a")
	f.Fuzz(func(t *testing.T, answer, image string) {
		at, err := parseImage(image)
		if err != nil {
			return
		}
		p := &plugin{name: "fuzzed", config: kubeletconfig.CredentialProvider{DefaultCacheDuration: &metav1.Duration{Duration: time.Hour}}}
		response, err := p.understand([]byte(answer))
		if err != nil {
			return
		}
		logins, err := p.logins([]target{at}, response)
		if err != nil {
			return
		}
		end, err := p.expiry(response, logins, subject{}, fuzzNow)
		if err != nil {
			return
		}
		if end.After(providers.Never) {
			t.Errorf("%q ends at %s", answer, end)
		}
		for _, l := range logins {
			if l.Password == "" || strings.Contains(l.Username, ":") || len(l.Hosts) != 1 || l.Hosts[0] != at.host {
				t.Errorf("%q brings a login for %q that no Secret can hold", answer, l.Hosts)
			}
		}
	})
}

// What a plugin tells people is one line of bounded length, and no secret is in it.
func FuzzWords(f *testing.F) {
	f.Add("error: password=PASSWORD in https://r.example/?sig=abc\n\tat main.go", "hunter2hunter2")
	f.Add("\x00\xff\u202e token: \"PASSWORD\"", "PASS WORD")
	f.Fuzz(func(t *testing.T, text, secret string) {
		text = strings.ReplaceAll(text, "PASSWORD", secret)
		var said words
		if n, err := said.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d of %d bytes are taken: %v", n, len(text), err)
		}
		told := forPeople(said.text.String(), secret)
		if strings.ContainsAny(told, "\n\r\x00\u202e") {
			t.Errorf("%q is not one line of plain text", told)
		}
		plain := len(secret) >= 4 && strings.Trim(secret, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-/_.:") == ""
		if plain && len(text) <= maxWords && strings.Contains(told, secret) && !strings.Contains(redacted, secret) {
			t.Errorf("%q shows the secret %q", told, secret)
		}
	})
}

// A configuration that cannot be parsed is told of without what stands in it.
func FuzzDecodeConfig(f *testing.F) {
	f.Add([]byte(goodConfig))
	f.Add([]byte(strings.Replace(goodConfig, "{name: KEY,", "{name: [KEY],", 1)))
	f.Add([]byte(strings.Replace(goodConfig, "args: [get]", "args: canary-regcred-x", 1)))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		config, err := decodeConfig(raw)
		if err == nil && config == nil {
			t.Error("there is neither a configuration nor an error")
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte("canary-regcred")) && !bytes.Contains(raw, []byte("name: canary")) {
			t.Errorf("the error quotes a value: %v", err)
		}
		if err == nil {
			_ = validate(config)
		}
	})
}
