package cloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	amzTime = "20060102T150405Z"
	// A signed request must reach AWS within five minutes of its time stamp (IAM user guide, "Troubleshoot Signature Version 4").
	maxSignatureAge = 5 * time.Minute
)

// authErrors are the names that a protocol gives to what can be wrong with a signature: JSON services and the query protocol differ.
type authErrors struct {
	status                                         int
	missing, incomplete, unknown, invalid, expired string
}

func (e authErrors) failure(code, format string, args ...any) *failure {
	return &failure{status: e.status, code: code, message: fmt.Sprintf(format, args...)}
}

// signature is the Authorization header of SigV4, taken apart.
type signature struct {
	accessKeyID, date, region, service, terminator string
	signedHeaders                                  []string
	value                                          string
	time                                           time.Time
}

// authenticate finds out whose signature a request bears, and for which region.
func (a *AWS) authenticate(r *request, service string, names authErrors) (caller, string, *failure) {
	sig, failed := parseSignature(r, names)
	if failed != nil {
		return caller{}, "", failed
	}
	if sig.service != service || sig.terminator != "aws4_request" {
		return caller{}, "", names.failure(names.invalid, "Credential should be scoped to correct service: '%s'.", service)
	}
	key, ok := a.iam.key(sig.accessKeyID)
	if !ok || r.Header.Get("X-Amz-Security-Token") != key.sessionToken {
		return caller{}, "", names.failure(names.unknown, "The security token included in the request is invalid.")
	}
	if failed := a.checkSignatureTime(sig, names); failed != nil {
		return caller{}, "", failed
	}
	if !sig.matches(r, key) {
		return caller{}, "", names.failure(names.invalid, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	if !key.expires.IsZero() && !a.clock.now().Before(key.expires) {
		return caller{}, "", names.failure(names.expired, "The security token included in the request is expired")
	}
	return key.caller, sig.region, nil
}

func parseSignature(r *request, names authErrors) (signature, *failure) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return signature{}, names.failure(names.missing, "Missing Authentication Token")
	}
	parts := map[string]string{}
	fields, isV4 := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	signedAt, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	if !isV4 || len(scope) != 5 || parts["SignedHeaders"] == "" || parts["Signature"] == "" || err != nil {
		return signature{}, names.failure(names.incomplete, "Authorization header requires 'Credential', 'Signature', 'SignedHeaders' "+
			"and existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	return signature{
		accessKeyID: scope[0], date: scope[1], region: scope[2], service: scope[3], terminator: scope[4],
		signedHeaders: strings.Split(parts["SignedHeaders"], ";"),
		value:         parts["Signature"],
		time:          signedAt,
	}, nil
}

func (a *AWS) checkSignatureTime(sig signature, names authErrors) *failure {
	now := a.clock.wall().UTC()
	oldest, newest := now.Add(-maxSignatureAge), now.Add(maxSignatureAge)
	switch {
	case sig.time.Before(oldest):
		return names.failure(names.invalid, "Signature expired: %s is now earlier than %s (%s - 5 min.)",
			sig.time.Format(amzTime), oldest.Format(amzTime), now.Format(amzTime))
	case sig.time.After(newest):
		return names.failure(names.invalid, "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			sig.time.Format(amzTime), newest.Format(amzTime), now.Format(amzTime))
	case sig.date != sig.time.Format("20060102"):
		return names.failure(names.invalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	return nil
}

// matches signs the request again with the SDK's own signer, over the headers that the client chose to sign.
func (s signature) matches(r *request, key accessKey) bool {
	again := &http.Request{
		Method: r.Method,
		URL:    &url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery},
		Host:   r.Host,
		Header: http.Header{},
		Body:   io.NopCloser(bytes.NewReader(r.body)),
	}
	for _, name := range s.signedHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	if slices.Contains(s.signedHeaders, "content-length") {
		again.Header.Del("Content-Length")
		again.ContentLength = int64(len(r.body))
	}
	hash := sha256.Sum256(r.body)
	credentials := aws.Credentials{AccessKeyID: s.accessKeyID, SecretAccessKey: key.secret, SessionToken: key.sessionToken}
	err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(hash[:]), s.service, s.region, s.time)
	if err != nil {
		return false
	}
	_, value, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return subtle.ConstantTimeCompare([]byte(value), []byte(s.value)) == 1
}
