package cloud

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
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
func ContainsCanary(text []byte) bool { return containsAny(text, canaryForms()) }

// ContainsCredential reports whether text holds a canary or what gives access without one: the JSON Web Token of a ServiceAccount or of
// anybody else, or a private key. It sees through the disguises of ContainsCanary, and knows a ServiceAccount's token by its claims, too.
func ContainsCredential(text []byte) bool {
	return ContainsCanary(text) || containsAny(text, credentialForms())
}

func containsAny(text []byte, forms [][]byte) bool {
	return slices.ContainsFunc(forms, func(form []byte) bool { return bytes.Contains(text, form) })
}

var canaryForms = sync.OnceValue(func() [][]byte { return append(bare(canaryPrefix), disguised(canaryPrefix)...) })

var credentialForms = sync.OnceValue(func() [][]byte {
	const (
		jwtHeader  = "eyJhbGciOi"             // {"alg": in base64
		privateKey = "PRIVATE KEY-----"       // the end of the first line of PEM
		subject    = "system:serviceaccount:" // in the claims; bare it is no secret
	)
	forms := append(bare(jwtHeader), disguised(jwtHeader)...)
	forms = append(append(forms, bare(privateKey)...), disguised(privateKey)...)
	return append(forms, disguised(subject)...)
})

func bare(secret string) [][]byte { return [][]byte{[]byte(secret), []byte(url.QueryEscape(secret))} }

// disguised is a secret in base64 up to three times over.
func disguised(secret string) [][]byte {
	var forms [][]byte
	level := [][]byte{[]byte(secret)}
	for range 3 {
		var next [][]byte
		for _, form := range level {
			next = append(next, inBase64(form)...)
		}
		forms = append(forms, next...)
		level = next
	}
	return forms
}

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
