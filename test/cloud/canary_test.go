package cloud

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestCanariesAreFoundInEveryDisguise(t *testing.T) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	escaped := url.QueryEscape
	for _, before := range []string{"", "A", "AWS:", "00000000-0000-0000-0000-000000000000:", `{"jti":"`} {
		secret := before + newSecret(Canary, 20)
		for name, disguised := range map[string]string{
			"bare": secret, "escaped": escaped(secret), "once": encode(secret), "once, for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret)),
			"once, escaped": escaped(encode(secret)), "twice": encode("AWS:" + encode(secret)), "in a Secret": encode(`{"auth":"` + encode("x:"+encode(secret))),
		} {
			if !ContainsCanary([]byte("some text " + disguised + " and more")) {
				t.Errorf("after %q, %s: not found", before, name)
			}
		}
	}
	for _, harmless := range []string{"", "canary", "canary-", encode("canary-other-"), "a controller's log of some length, with nothing in it"} {
		if ContainsCanary([]byte(harmless)) {
			t.Errorf("found one in %q", harmless)
		}
	}
}

func TestCredentialsAreFoundInEveryDisguise(t *testing.T) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	token, err := WebIdentityToken("https://cluster.example", "system:serviceaccount:team-a:puller", "audience", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	claims := strings.Split(token, ".")[1]
	key := "-----BEGIN RSA PRIVATE KEY-----\nMII"
	for name, text := range map[string]string{
		"token": token, "escaped token": url.QueryEscape("x=" + token), "token once": encode("a:" + token), "token twice": encode(encode("ab:" + token)),
		"claims": claims, "claims once": encode("a" + claims), "key": key, "key once": encode(key), "key, escaped": url.QueryEscape(key), "canary": newSecret(Canary, 20),
	} {
		if !ContainsCredential([]byte("some text " + text + " and more")) {
			t.Errorf("%s: not found", name)
		}
	}
	for _, harmless := range []string{"", "system:serviceaccount:team-a:puller", "-----BEGIN CERTIFICATE-----", "eyJ", encode("system:")} {
		if ContainsCredential([]byte(harmless)) {
			t.Errorf("found one in %q", harmless)
		}
	}
}
