package secretdata_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

func TestKeysThatTakeLongAreRefused(t *testing.T) {
	secret := &providers.Secret{Namespace: "team-a", Name: "keys"}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sound := bytes.Join([][]byte{block("PRIVATE KEY", pkcs8(t, small)), block("PRIVATE KEY", pkcs8(t, curve)), block("CERTIFICATE", []byte("any"))}, nil)
	for name, c := range map[string]struct {
		text    []byte
		refused bool
	}{
		"of common sizes":        {sound, false},
		"no key":                 {[]byte("nonsense"), false},
		"large":                  {block("RSA PRIVATE KEY", composite(t, 8256)), true},
		"large, of another kind": {block("CERTIFICATE", composite(t, 8256)), true},
		"the last of some":       {bytes.Join([][]byte{sound, block("RSA PRIVATE KEY", composite(t, 8256))}, nil), true},
		"enormous":               {block("PRIVATE KEY", make([]byte, 9<<10)), true},
		"enormous, no PEM":       {[]byte(strings.Repeat("A", 9<<10)), true},
	} {
		err := secretdata.CheckKeys(secret, "key.pem", c.text)
		failure, refused := errors.AsType[*providers.Error](err)
		if refused != c.refused || refused && (failure.Reason != v1alpha1.ReasonIdentityInvalid || !strings.Contains(failure.Error(), "key.pem of Secret team-a/keys")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// composite is an RSA key of a size for which no primes need to be found: the parser takes any odd factors.
func composite(t *testing.T, bits int) []byte {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	factor := func(but *big.Int) *big.Int {
		for {
			raw := make([]byte, bits/16)
			_, _ = rand.Read(raw)
			raw[0] |= 0xc0
			raw[len(raw)-1] |= 1
			p := new(big.Int).SetBytes(raw)
			coprime := func(a, b *big.Int) bool { return new(big.Int).GCD(nil, nil, a, b).Cmp(one) == 0 }
			if coprime(new(big.Int).Sub(p, one), e) && coprime(p, but) {
				return p
			}
		}
	}
	p := factor(one)
	q := factor(p)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	d := new(big.Int).ModInverse(e, new(big.Int).Mul(p1, q1))
	der, err := asn1.Marshal(struct {
		Version               int
		N                     *big.Int
		E                     int
		D, P, Q, Dp, Dq, Qinv *big.Int
	}{0, new(big.Int).Mul(p, q), 65537, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), new(big.Int).ModInverse(q, p)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err != nil {
		t.Fatal(err)
	}
	return der
}
