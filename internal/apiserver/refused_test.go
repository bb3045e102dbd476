package apiserver

import (
	"errors"
	"strings"
	"testing"
)

func TestWhoRefusesIsNamedAndItsTextIsNot(t *testing.T) {
	for text, want := range map[string]string{
		`secrets "a" is forbidden: exceeded quota: few-secrets, requested: count/secrets=1, used: count/secrets=5, limited: count/secrets=5`:                                           "the quota few-secrets",
		`admission webhook "images.example.com" denied the request: <b>pay here</b>`:                                                                                                   "the admission webhook images.example.com",
		`Internal error occurred: failed calling webhook "sa.example.com": failed to call webhook: Post "https://x.y.svc:443/?timeout=10s": dial tcp 10.0.0.1:443: connection refused`: "the admission webhook sa.example.com",
		`secrets "a" is forbidden: ValidatingAdmissionPolicy 'no-secrets' with binding 'all' denied request: because`:                                                                  "the admission policy no-secrets",
		`admission webhook "<script>" denied the request`:                                                                                                                              "",
		`secrets "a" is forbidden: User "x" cannot create resource "secrets"`:                                                                                                          "",
	} {
		if got := RefusedBy(errors.New(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestAPolicyRefusesTheSameAgain(t *testing.T) {
	for text, want := range map[string]bool{
		`secrets "a" is forbidden: ValidatingAdmissionPolicy 'no-secrets' with binding 'all' denied request: because`: true,
		`admission webhook "images.example.com" denied the request: not now`:                                          false,
		`secrets "a" is forbidden: User "x" cannot delete resource "secrets"`:                                         false,
	} {
		if got := RefusedByPolicy(errors.New(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestWhatCannotBeANameIsCutAndQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"registry-pull":           "registry-pull",
		"ConfigMap":               "ConfigMap",
		"pay here":                `"pay here"`,
		"a\x1b[31m":               `"a\x1b[31m"`,
		strings.Repeat("<", 2000): `"` + strings.Repeat("<", maxText) + `"`,
		strings.Repeat("a", 254):  `"` + strings.Repeat("a", maxText) + `"`,
		strings.Repeat("a", 253):  strings.Repeat("a", 253),
		"":                        `""`,
	} {
		if got := Name(text); got != want {
			t.Errorf("%.100q: %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsTooLongForANameIsNotTold(t *testing.T) {
	for length, told := range map[int]bool{253: true, 254: false} {
		if got := RefusedBy(errors.New("exceeded quota: " + strings.Repeat("q", length) + ", requested: count/secrets=1")); (got != "") != told {
			t.Errorf("of a name of %d bytes %d bytes are told", length, len(got))
		}
	}
}
