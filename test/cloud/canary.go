package cloud

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// Every secret that the emulated cloud gives out starts with one of these, so that a search through logs, objects and metrics proves
// that none escaped.
const (
	Canary    = "canary-ecr-"
	CanarySTS = "canary-sts-"
)

// canaries also holds the password as it stands in the `auth` of a docker config: base64 of "AWS:" + Canary is 15 bytes and so has no
// remainder that would depend on the bytes after it.
var canaries = [][]byte{
	[]byte(Canary),
	[]byte(CanarySTS),
	[]byte(base64.StdEncoding.EncodeToString([]byte(ecrUsername + ":" + Canary))),
}

// ContainsCanary reports whether text holds a secret of the emulated cloud, bare or as an `auth` of a docker config.
func ContainsCanary(text []byte) bool {
	for _, canary := range canaries {
		if bytes.Contains(text, canary) {
			return true
		}
	}
	return false
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
