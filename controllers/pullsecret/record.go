// Package pullsecret is the Secret as a format: what is written into it, and what of it can be believed when it is read. It is pure:
// all that others may have written into a Secret is read here, and nothing here asks anybody.
package pullsecret

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/providers"
)

// AnnotationRegistries on a target holds the record of every entry in it. State lives here, and nowhere else, so that a
// restart, a lost status or a restored backup costs nothing unless something is due.
const AnnotationRegistries = "regcred.dev/registries"

// Record is what a target says of one entry. It is the same for all targets of a token.
type Record struct {
	Name   string   `json:"name"`
	Source string   `json:"source"`
	Hosts  []string `json:"hosts"`
	// IssuedAt is when the token was minted, RenewableAt when the cloud begins to hand out another, if it repeats this one until then.
	IssuedAt    time.Time `json:"issuedAt"`
	RenewableAt time.Time `json:"renewableAt,omitzero"`
	ExpiresAt   time.Time `json:"expiresAt"`
	// RefreshStamp is the Stamp of the refresh request that the token answers.
	RefreshStamp string `json:"refresh,omitempty"`
	// ID is the token's, if it can be revoked once no target holds it any more.
	ID       string                 `json:"id,omitempty"`
	Verified metav1.ConditionStatus `json:"verified,omitempty"`

	// EarlierDueAt is when a record of an earlier version is due; it does not say when its token was minted, nor from which source of today.
	EarlierDueAt time.Time `json:"-"`
}

// Earlier says whether the record was written by an earlier version.
func (r Record) Earlier() bool { return !r.EarlierDueAt.IsZero() }

// Stamp stands for a value that others choose and that is only compared: 8 bytes of a hash, whatever the length of the value.
func Stamp(value string) string {
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

// NewRecord is the record of a token from a source, for an entry.
func NewRecord(entry, source string, token providers.Token) Record {
	r := Record{
		Name: entry, Source: source, Hosts: token.Hosts(), ID: token.ID, Verified: token.Verified,
		IssuedAt: token.IssuedAt.UTC().Truncate(time.Second), ExpiresAt: token.ExpiresAt.UTC().Truncate(time.Second),
	}
	if !token.RenewableAt.IsZero() {
		r.RenewableAt = token.RenewableAt.UTC().Truncate(time.Second)
	}
	return r
}

// document is the annotation as it is written.
type document struct {
	Version int      `json:"version"`
	Entries []Record `json:"entries"`
	// Labels and Annotations are the keys that the credential's template has put on the Secret.
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

const version = 1

// errUnwritable is returned for records that would not be believed when they are read.
var errUnwritable = errors.New("the records of the tokens are not what could be read again")

// encode makes the annotation, and refuses to make one that nobody would believe.
func (d document) encode() (string, error) {
	d.Version = version
	raw, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	text := string(raw)
	if _, ok := parsed.of(text); !ok { // which is asked once for all targets of a token
		return "", errUnwritable
	}
	return text, nil
}
