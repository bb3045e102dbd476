package secretdata_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

const canary = "canary-value"

var secret = &providers.Secret{Namespace: "team-a", Name: "keys"}

func TestOneLineEndIsTakenOff(t *testing.T) {
	for value, want := range map[string]string{
		"": "", canary: canary, canary + "\n": canary, canary + "\r\n": canary, canary + "\r": canary, "\n": "",
		" " + canary + " ": " " + canary + " ", "pä:s$wörd": "pä:s$wörd", "💡": "💡",
	} {
		got, err := secretdata.Line(secret, map[string][]byte{"password": []byte(value)}, "password")
		if err != nil || got != want {
			t.Errorf("%q is read as %q, %v", value, got, err)
		}
	}
	if got, err := secretdata.Line(secret, nil, "password"); err != nil || got != "" {
		t.Errorf("what is not there is read as %q, %v", got, err)
	}
}

func TestWhatNobodyTypedIsRefusedByKind(t *testing.T) {
	for value, kind := range map[string]string{
		canary + "\n\n":                      "more than one line",
		canary + "\nx":                       "more than one line",
		"\n" + canary:                        "more than one line",
		"\ufeff" + canary:                    "byte order mark",
		canary + "\ufeff":                    "byte order mark",
		"\xff\xfec\x00a\x00":                 "UTF-16",
		"\xfe\xff\x00c\x00a":                 "UTF-16",
		"c\x00a\x00n\x00":                    "NUL",
		canary + "\x00":                      "NUL",
		canary + "\t":                        "control character",
		canary + "\x1b[0m":                   "control character",
		canary + "\x7f":                      "control character",
		canary + "\u0085":                    "control character",
		canary + "\xff":                      "not UTF-8",
		"\x1f\x8b\x08\x00compressed\xff\xfe": "not UTF-8",
	} {
		_, err := secretdata.Line(secret, map[string][]byte{"password": []byte(value)}, "password")
		check(t, value, kind, err)
	}
}

func TestADocumentMayHaveLines(t *testing.T) {
	const text = "{\r\n\t\"a\": 1\n}\n"
	got, err := secretdata.Document(secret, map[string][]byte{"file": []byte(text)}, "file")
	if err != nil || string(got) != text {
		t.Errorf("got %q, %v", got, err)
	}
	for value, kind := range map[string]string{
		"\ufeff{}": "byte order mark", "\xff\xfe{\x00}\x00": "UTF-16", "{\x00}": "NUL", "{\x1b}": "control character", "\xff{}": "not UTF-8",
	} {
		_, err := secretdata.Document(secret, map[string][]byte{"password": []byte(value)}, "password")
		check(t, value, kind, err)
	}
}

func check(t *testing.T, value, kind string, err error) {
	t.Helper()
	var failure *providers.Error
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonIdentityInvalid || failure.Scope != providers.ScopeRequest {
		t.Errorf("%q: got %v, want IdentityInvalid", value, err)
		return
	}
	text := err.Error()
	if !strings.Contains(text, "the key password of Secret team-a/keys") || !strings.Contains(text, kind) || strings.Contains(text, canary) {
		t.Errorf("%q: the message does not name the key and the kind alone: %s", value, text)
	}
}
