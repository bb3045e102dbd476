package cloud

import (
	"encoding/base64"
	"net/url"
	"testing"
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
