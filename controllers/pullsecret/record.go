// Package pullsecret is the Secret as a format: what is written into it, and what of it can be believed when it is read. It is pure:
// all that others may have written into a Secret is read here, and nothing here asks anybody.
package pullsecret

import (
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationRegistries on a target holds the record of every entry in it. State lives here, and nowhere else, so that a
// restart, a lost status or a restored backup costs nothing unless something is due.
const AnnotationRegistries = "regcred.dev/registries"

// Record is what a target says of one entry.
type Record struct {
	Name      string    `json:"name"`
	Source    string    `json:"source"`
	Refresh   string    `json:"refreshRequestedAt,omitempty"`
	RefusedAt string    `json:"refusedAt,omitempty"`
	Hosts     []string  `json:"hosts"`
	ExpiresAt time.Time `json:"expiresAt"`
	RefreshAt time.Time `json:"refreshAt"`
	// ID is the token's, if it can be revoked once no target holds it any more.
	ID       string                 `json:"id,omitempty"`
	Verified metav1.ConditionStatus `json:"verified,omitempty"`
}

// Records reads the records of a target; none if they do not read.
func Records(secret metav1.Object) []Record {
	var records []Record
	if json.Unmarshal([]byte(secret.GetAnnotations()[AnnotationRegistries]), &records) != nil {
		return nil
	}
	return records
}

// TokenIDs are the IDs of the tokens in a target that can be revoked.
func TokenIDs(secret metav1.Object) []string {
	// Most tokens cannot be revoked, and then nothing needs to be parsed.
	if !strings.Contains(secret.GetAnnotations()[AnnotationRegistries], `"id":`) {
		return nil
	}
	var ids []string
	for _, r := range Records(secret) {
		if r.ID != "" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
