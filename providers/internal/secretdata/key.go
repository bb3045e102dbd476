package secretdata

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	// maxKey bounds an RSA key in bits. What it takes to sign grows with the third power of them, and no timeout ends it.
	maxKey = 8192
	// maxBlock bounds what such a key, or a certificate, takes in bytes: parsing takes its time, too.
	maxBlock = 8 << 10
)

// CheckKeys refuses private keys, in PEM, that are too large to be used. Whether they are keys at all is for those to say who use them.
func CheckKeys(secret *providers.Secret, key string, text []byte) error {
	block, rest := pem.Decode(text)
	if block == nil && len(text) > maxBlock {
		return tooLarge(secret, key)
	}
	for ; block != nil; block, rest = pem.Decode(rest) {
		if len(block.Bytes) > maxBlock || bits(block.Bytes) > maxKey {
			return tooLarge(secret, key)
		}
	}
	return nil
}

// bits is the size of an RSA key; 0 of anything else. The curves that are known are all small.
func bits(der []byte) int {
	var parsed crypto.PrivateKey
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		parsed, _ = x509.ParsePKCS1PrivateKey(der)
	}
	if key, ok := parsed.(*rsa.PrivateKey); ok && key != nil {
		return key.N.BitLen()
	}
	return 0
}

func tooLarge(secret *providers.Secret, key string) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the key %s of %s holds a private key of more than %d bits: create one of 2048 or 4096", key, secret, maxKey)
}
