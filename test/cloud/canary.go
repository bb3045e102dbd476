package cloud

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"sync"
)

// canaryPrefix starts every secret that an emulated cloud gives out, so that a search through logs, objects and metrics proves that
// none escaped. What is a JWT cannot start with it, and holds it in a claim.
const canaryPrefix = "canary-regcred-"

// The secrets of the clouds, by kind.
const (
	Canary    = canaryPrefix + "ecr-"
	CanarySTS = canaryPrefix + "sts-"
	// CanaryECRPublic starts the passwords for the public registry.
	CanaryECRPublic = canaryPrefix + "ecr-public-"
)

// ContainsCanary reports whether text holds a secret of an emulated cloud: bare, escaped for a URL, or in base64 up to three times over,
// as a JWT in the `auth` of a docker config in a Secret is.
func ContainsCanary(text []byte) bool {
	for _, form := range canaryForms() {
		if bytes.Contains(text, form) {
			return true
		}
	}
	return false
}

var canaryForms = sync.OnceValue(func() [][]byte {
	forms := [][]byte{[]byte(canaryPrefix), []byte(url.QueryEscape(canaryPrefix))}
	level := [][]byte{[]byte(canaryPrefix)}
	for range 3 {
		var next [][]byte
		for _, form := range level {
			next = append(next, inBase64(form)...)
		}
		forms = append(forms, next...)
		level = next
	}
	return forms
})

// inBase64 is what stands for text in the base64 of something that contains it, whatever comes before and after: of the three
// alignments, the characters that depend on nothing else.
func inBase64(text []byte) [][]byte {
	var forms [][]byte
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), text...))
		from := (before*8 + 5) / 6
		to := (before + len(text)) * 8 / 6
		forms = append(forms, []byte(encoded[from:to]))
	}
	return forms
}

func newSecret(canary string, randomBytes int) string {
	return canary + base64.RawURLEncoding.EncodeToString(randomData(randomBytes))
}

func newRequestID() string {
	b := randomData(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomData(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
