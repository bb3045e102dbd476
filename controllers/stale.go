package controllers

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// annotationRegistries on a target holds the record of every entry in it. State lives here, and nowhere else, so that a
// restart, a lost status or a restored backup costs nothing unless something is due.
const annotationRegistries = "regcred.dev/registries"

// record is what a target says of one entry.
type record struct {
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

// observed is a target as the cache shows it. The zero value is a Secret that is not there.
type observed struct {
	secret  *metav1.PartialObjectMetadata
	records map[string]record
}

func observe(secret *metav1.PartialObjectMetadata) observed {
	o := observed{secret: secret}
	if secret == nil {
		return o
	}
	records := recordsOf(secret)
	o.records = make(map[string]record, len(records))
	for _, r := range records {
		o.records[r.Name] = r
	}
	return o
}

// recordsOf reads the records of a target; none if they do not read.
func recordsOf(secret metav1.Object) []record {
	var records []record
	if json.Unmarshal([]byte(secret.GetAnnotations()[annotationRegistries]), &records) != nil {
		return nil
	}
	return records
}

// cause is why a Secret or an entry must be written now. It ends up in events and logs.
type cause string

const (
	causeDeleted          cause = "Deleted"
	causeAdopted          cause = "Adopted"
	causeEdited           cause = "Edited"
	causeRelabelled       cause = "Relabelled"
	causeOwnerChanged     cause = "OwnerChanged"
	causeEntryRemoved     cause = "EntryRemoved"
	causeNew              cause = "New"
	causeSourceChanged    cause = "SourceChanged"
	causeRefreshRequested cause = "RefreshRequested"
	causeRefused          cause = "Refused"
	causeDue              cause = "Due"
)

// secretChecks are the reasons to write a Secret although its tokens may be fresh. The first that applies is given.
var secretChecks = []struct {
	cause   cause
	applies func(*credential, observed) bool
}{
	{causeDeleted, func(_ *credential, o observed) bool { return o.secret == nil }},
	{causeAdopted, func(c *credential, o observed) bool { return !ours(c.Key, o.secret) }},
	{causeEdited, func(_ *credential, o observed) bool { return !intact(o.secret) }},
	{causeRelabelled, func(_ *credential, o observed) bool {
		return o.secret.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretTarget
	}},
	{causeOwnerChanged, func(c *credential, o observed) bool { return !metav1.IsControlledBy(o.secret, c.object) }},
	{causeEntryRemoved, func(c *credential, o observed) bool {
		for name := range o.records {
			if !hasEntry(c, name) {
				return true
			}
		}
		return false
	}},
}

// entryChecks are the reasons to ask for a new token of an entry. The first that applies is given.
var entryChecks = []struct {
	cause   cause
	applies func(r record, known bool, req providers.Request, now time.Time) bool
}{
	{causeNew, func(_ record, known bool, _ providers.Request, _ time.Time) bool { return !known }},
	{causeSourceChanged, func(r record, _ bool, req providers.Request, _ time.Time) bool { return r.Source != req.Source() }},
	{causeRefreshRequested, func(r record, _ bool, req providers.Request, _ time.Time) bool {
		return req.RefreshRequestedAt != "" && r.Refresh != req.RefreshRequestedAt
	}},
	{causeRefused, func(r record, _ bool, req providers.Request, _ time.Time) bool {
		return req.RefusedAt != "" && r.RefusedAt != req.RefusedAt
	}},
	{causeDue, func(r record, _ bool, _ providers.Request, now time.Time) bool { return !now.Before(r.RefreshAt) }},
}

func staleSecret(c *credential, o observed) cause {
	for _, check := range secretChecks {
		if check.applies(c, o) {
			return check.cause
		}
	}
	return ""
}

func staleEntry(o observed, req providers.Request, now time.Time) cause {
	r, known := o.records[req.Registry.Name]
	for _, check := range entryChecks {
		if check.applies(r, known, req, now) {
			return check.cause
		}
	}
	return ""
}

func hasEntry(c *credential, name string) bool {
	for _, entry := range c.spec.Registries {
		if entry.Name == name {
			return true
		}
	}
	return false
}

// FieldManager is the name under which Regcred writes.
const FieldManager = "regcred"

const fieldData = "f:data"

// intact says whether the Secret's data is what we wrote last: the API server takes a field from its manager when somebody else
// changes it, and gives a new one to whoever adds it. So tampering shows without a token being read. Another manager that
// applies the very same value shares the field and changes nothing.
func intact(secret *metav1.PartialObjectMetadata) bool {
	ours := false
	for _, entry := range secret.ManagedFields {
		owned, err := ownedData(entry)
		if err != nil {
			return false
		}
		for field := range owned {
			switch {
			case field == ".": // the map itself, owned by everyone who owns a key of it
			case field != "f:"+corev1.DockerConfigJsonKey:
				return false
			case entry.Manager == FieldManager:
				ours = true
			}
		}
	}
	return ours
}

// ownedData returns the fields of the Secret's data that the entry's manager owns.
func ownedData(entry metav1.ManagedFieldsEntry) (map[string]json.RawMessage, error) {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return nil, nil
	}
	var fields struct {
		Data map[string]json.RawMessage `json:"f:data"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, err
	}
	return fields.Data, nil
}

// jitterShare is the part of a token's life over which the refreshes of its targets are spread. It only moves them earlier.
const jitterShare = 10

// refreshAt is when this target is due for a new token. The jitter is a hash of the credential and the namespace, so a restart
// changes nothing and a test knows it. It moves a refresh earlier, except where the cloud would only repeat the token.
func refreshAt(c *credential, namespace string, token providers.Token) time.Time {
	name, due := string(c.object.GetUID())+"/"+namespace, token.RefreshAt()
	switch {
	case token.ExpiresAt.Equal(providers.Never):
		return providers.Never
	case due.Equal(token.RenewableAt):
		return due.Add(spread(name, token.ExpiresAt.Sub(due)/jitterShare))
	}
	earlier := due.Add(-spread(name, token.ExpiresAt.Sub(token.IssuedAt)/jitterShare))
	if earlier.Before(token.RenewableAt) {
		return token.RenewableAt
	}
	return earlier
}

// spread maps a name to the same fraction of any window.
func spread(name string, window time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(name))
	fraction := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	return time.Duration(fraction * float64(window))
}
