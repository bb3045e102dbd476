package target

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

// observed is a target as the cache shows it. The zero value is a Secret that is not there.
type observed struct {
	secret  *metav1.PartialObjectMetadata
	records map[string]pullsecret.Record
}

func observe(secret *metav1.PartialObjectMetadata) observed {
	o := observed{secret: secret}
	if secret == nil {
		return o
	}
	records := pullsecret.Records(secret)
	o.records = make(map[string]pullsecret.Record, len(records))
	for _, r := range records {
		o.records[r.Name] = r
	}
	return o
}

// Cause is why a Secret or an entry must be written now. It ends up in events and logs.
type Cause string

// The causes, in the order in which they are asked for.
const (
	CauseDeleted          Cause = "Deleted"
	CauseAdopted          Cause = "Adopted"
	CauseEdited           Cause = "Edited"
	CauseRelabelled       Cause = "Relabelled"
	CauseOwnerChanged     Cause = "OwnerChanged"
	CauseEntryRemoved     Cause = "EntryRemoved"
	CauseNew              Cause = "New"
	CauseSourceChanged    Cause = "SourceChanged"
	CauseRefreshRequested Cause = "RefreshRequested"
	CauseRefused          Cause = "Refused"
	CauseDue              Cause = "Due"
)

// secretChecks are the reasons to write a Secret although its tokens may be fresh. The first that applies is given.
var secretChecks = []struct {
	cause   Cause
	applies func(*credential.Credential, observed) bool
}{
	{CauseDeleted, func(_ *credential.Credential, o observed) bool { return o.secret == nil }},
	{CauseAdopted, func(c *credential.Credential, o observed) bool { return !pullsecret.Ours(ownerOf(c), o.secret) }},
	{CauseEdited, func(_ *credential.Credential, o observed) bool { return !pullsecret.Intact(o.secret) }},
	{CauseRelabelled, func(_ *credential.Credential, o observed) bool {
		return o.secret.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretTarget
	}},
	{CauseOwnerChanged, func(c *credential.Credential, o observed) bool { return !metav1.IsControlledBy(o.secret, c.Object) }},
	{CauseEntryRemoved, func(c *credential.Credential, o observed) bool {
		for name := range o.records {
			if c.Entry(name) == nil {
				return true
			}
		}
		return false
	}},
}

// entryChecks are the reasons to ask for a new token of an entry. The first that applies is given.
var entryChecks = []struct {
	cause   Cause
	applies func(r pullsecret.Record, known bool, req providers.Request, now time.Time) bool
}{
	{CauseNew, func(_ pullsecret.Record, known bool, _ providers.Request, _ time.Time) bool { return !known }},
	{CauseSourceChanged, func(r pullsecret.Record, _ bool, req providers.Request, _ time.Time) bool {
		return r.Source != req.Source()
	}},
	{CauseRefreshRequested, func(r pullsecret.Record, _ bool, req providers.Request, _ time.Time) bool {
		return req.RefreshRequestedAt != "" && r.Refresh != req.RefreshRequestedAt
	}},
	{CauseRefused, func(r pullsecret.Record, _ bool, req providers.Request, _ time.Time) bool {
		return req.RefusedAt != "" && r.RefusedAt != req.RefusedAt
	}},
	{CauseDue, func(r pullsecret.Record, _ bool, _ providers.Request, now time.Time) bool {
		return !now.Before(r.RefreshAt)
	}},
}

func staleSecret(c *credential.Credential, o observed) Cause {
	for _, check := range secretChecks {
		if check.applies(c, o) {
			return check.cause
		}
	}
	return ""
}

func staleEntry(o observed, req providers.Request, now time.Time) Cause {
	r, known := o.records[req.Registry.Name]
	for _, check := range entryChecks {
		if check.applies(r, known, req, now) {
			return check.cause
		}
	}
	return ""
}

// jitterShare is the part of a token's life over which the refreshes of its targets are spread. It only moves them earlier.
const jitterShare = 10

// refreshAt is when this target is due for a new token. The jitter is a hash of the credential and the namespace, so a restart
// changes nothing and a test knows it. It moves a refresh earlier, except where the cloud would only repeat the token.
func refreshAt(c *credential.Credential, namespace string, token providers.Token) time.Time {
	name, due := string(c.Object.GetUID())+"/"+namespace, token.RefreshAt()
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
