package target

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

// observed is a target as the cache shows it. The zero value is a Secret that is not there.
type observed struct {
	secret *metav1.PartialObjectMetadata
	// blind is whether nobody has looked for a Secret that the cache does not show.
	blind bool
	// owner is whose the Secret is to be.
	owner pullsecret.Owner
	pullsecret.Saved
	// forged is whether somebody else has written it under our name.
	forged bool
	// sameOwner is whether the owner wants what it wanted when the Secret was written here: then others have changed what is not so.
	sameOwner bool
}

// observe reads what a Secret says of itself, if it can be believed.
func (r *Reconciler) observe(c *credential.Credential, secret *metav1.PartialObjectMetadata) observed {
	o := observed{secret: secret, owner: ownerOf(c)}
	if pullsecret.Trusted(o.owner, secret) {
		o.Saved = pullsecret.Read(secret, r.Clock.Now())
	}
	return o
}

func (o observed) followsTemplate() bool {
	return o.Records == nil || o.owner.Template.Followed(o.secret, o.Saved)
}

// asForged is the same Secret, and nothing that it says is believed.
func (o observed) asForged() observed {
	o.Saved, o.forged = pullsecret.Saved{}, true
	return o
}

// Cause is why a Secret or an entry must be written now. It ends up in events and logs.
type Cause string

// The causes, in the order in which they are asked for.
const (
	CauseMissing          Cause = "Deleted"
	CauseAdopted          Cause = "Adopted"
	CauseEdited           Cause = "Edited"
	CauseRelabelled       Cause = "Relabelled"
	CauseOwnerChanged     Cause = "OwnerChanged"
	CausePolicyChanged    Cause = "PolicyChanged"
	CauseTemplateEdited   Cause = "TemplateEdited"
	CauseTemplateChanged  Cause = "TemplateChanged"
	CauseEntryRemoved     Cause = "EntryRemoved"
	CauseLapsed           Cause = "Lapsed"
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
	{CauseMissing, func(_ *credential.Credential, o observed) bool { return o.secret == nil }},
	{CauseAdopted, func(_ *credential.Credential, o observed) bool { return !pullsecret.Ours(o.owner, o.secret) }},
	{CauseEdited, func(_ *credential.Credential, o observed) bool { return o.forged || !pullsecret.Intact(o.secret) }},
	{CauseRelabelled, func(_ *credential.Credential, o observed) bool {
		return o.secret.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretTarget
	}},
	{CausePolicyChanged, func(_ *credential.Credential, o observed) bool {
		return !o.sameOwner && pullsecret.Retained(o.secret) != o.owner.Retain
	}},
	{CauseOwnerChanged, func(_ *credential.Credential, o observed) bool { return !pullsecret.OwnedAs(o.owner, o.secret) }},
	{CauseTemplateEdited, func(_ *credential.Credential, o observed) bool { return o.sameOwner && !o.followsTemplate() }},
	{CauseTemplateChanged, func(_ *credential.Credential, o observed) bool { return !o.followsTemplate() }},
	{CauseEntryRemoved, func(c *credential.Credential, o observed) bool {
		for name := range o.Records {
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
	applies func(e *EntryState, w wanted) bool
}{
	{CauseNew, func(e *EntryState, _ wanted) bool { return !e.Known }},
	{CauseSourceChanged, func(e *EntryState, w wanted) bool { return e.Record.Source != w.req.Source() }},
	{CauseRefreshRequested, func(e *EntryState, w wanted) bool {
		return w.req.RefreshStamp != "" && e.Record.RefreshStamp != w.req.RefreshStamp
	}},
	{CauseRefused, func(e *EntryState, w wanted) bool {
		return !w.refusedIssuedAt.IsZero() && !e.Record.IssuedAt.After(w.refusedIssuedAt)
	}},
	{CauseDue, func(e *EntryState, w wanted) bool { return !w.now.Before(e.DueAt) }},
}

// wanted is what a record is held against.
type wanted struct {
	req providers.Request
	// refusedIssuedAt is the issue time of the token that was refused; the zero time if none was.
	refusedIssuedAt time.Time
	now             time.Time
}

func staleSecret(c *credential.Credential, o observed) Cause {
	for _, check := range secretChecks {
		if check.applies(c, o) {
			return check.cause
		}
	}
	return ""
}

func staleEntry(e *EntryState, w wanted) Cause {
	for _, check := range entryChecks {
		if check.applies(e, w) {
			return check.cause
		}
	}
	return ""
}
