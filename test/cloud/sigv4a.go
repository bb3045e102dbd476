package cloud

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const sigV4A = "AWS4-ECDSA-P256-SHA256"

// callerOf finds out whose signature of Signature Version 4A the headers bear, of a GET of this URL without body for all regions. It is
// written after AWS' description of the algorithm ("Signature Version 4A" of the IAM user guide) and shares no code with who signs.
func (a *AWS) callerOf(header http.Header, signed string) (caller, bool) {
	target, err := url.Parse(signed)
	if err != nil || header.Get("X-Amz-Region-Set") != "*" {
		return caller{}, false
	}
	fields, ok := strings.CutPrefix(header.Get("Authorization"), sigV4A+" ")
	parts := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	id, scope, _ := strings.Cut(parts["Credential"], "/")
	at, err := time.Parse(amzTime, header.Get("X-Amz-Date"))
	key, known := a.iam.key(id)
	now := a.clock.wall()
	if !ok || err != nil || !known || scope != at.Format("20060102")+"/sts/aws4_request" || header.Get("X-Amz-Security-Token") != key.sessionToken ||
		now.Sub(at).Abs() > maxSignatureAge || !key.expires.IsZero() && !a.clock.now().Before(key.expires) {
		return caller{}, false
	}
	names := strings.Split(parts["SignedHeaders"], ";")
	for _, needed := range []string{"host", "x-amz-date", "x-amz-region-set"} {
		if !slices.Contains(names, needed) {
			return caller{}, false
		}
	}
	signature, err := hex.DecodeString(parts["Signature"])
	digest := sha256.Sum256([]byte(strings.Join([]string{sigV4A, at.Format(amzTime), scope, hexHash(canonicalGet(target, names, header))}, "\n")))
	return key.caller, err == nil && ecdsa.VerifyASN1(publicKey(id, key.secret), digest[:], signature)
}

func canonicalGet(target *url.URL, names []string, header http.Header) string {
	var headers strings.Builder
	for _, name := range names {
		value := header.Get(name)
		if name == "host" {
			value = target.Host
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	return strings.Join([]string{http.MethodGet, "/", target.Query().Encode(), headers.String(), strings.Join(names, ";"), hexHash("")}, "\n")
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// publicKey is the public half of the key that the secret stands for: NIST SP 800-108 in counter mode, until the number fits the curve.
func publicKey(id, secret string) *ecdsa.PublicKey {
	curve := elliptic.P256()
	most := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for counter := byte(1); ; counter++ {
		mac := hmac.New(sha256.New, []byte("AWS4A"+secret))
		mac.Write(bytes.Join([][]byte{
			binary.BigEndian.AppendUint32(nil, 1), []byte(sigV4A), {0}, []byte(id), {counter}, binary.BigEndian.AppendUint32(nil, 256),
		}, nil))
		candidate := new(big.Int).SetBytes(mac.Sum(nil))
		if candidate.Cmp(most) > 0 {
			continue
		}
		private := candidate.Add(candidate, big.NewInt(1)).FillBytes(make([]byte, 32))
		key, err := ecdsa.ParseRawPrivateKey(curve, private)
		if err != nil {
			panic(err) // the number fits the curve
		}
		return &key.PublicKey
	}
}
