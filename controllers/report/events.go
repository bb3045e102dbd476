package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// The reasons of events; a warning carries the reason of the failure.
const (
	eventIssued   = "Issued"
	eventRotated  = "Rotated"
	eventRepaired = "Repaired"
	eventUpdated  = "Updated"
	eventAdopted  = "Adopted"
	eventLapsed   = "Lapsed"
	eventRetained = "Retained"
	// eventOverridden tells of a login by hand that takes the place of a provider's token, and eventOverrideEnded that it is over.
	eventOverridden    = v1alpha1.ReasonOverridden
	eventOverrideEnded = "OverrideEnded"
)

// news is something that happened to a target and is worth an event. Equal news of many namespaces become one event.
type news struct {
	warning bool
	reason  string
	// action tells events of one reason apart: the API server's clients merge those that differ in their note alone.
	action    string
	note      string
	namespace string
}

// tell notes what is new in an outcome.
func (b *book) tell(t credential.Target, out target.Outcome, before standing) {
	if out.Wrote != "" {
		b.tellWrite(t, out, before)
	}
	if f := out.Failure; f != nil && (before.failure == nil || before.failure.Reason != f.Reason) {
		b.news = append(b.news, news{warning: true, reason: f.Reason, action: "Publish", note: f.Message, namespace: t.Namespace})
	}
	for _, e := range out.Entries {
		was := before.entry(e.Name).failure
		if f := e.Failure; f != nil && (was == nil || was.Reason != f.Reason) {
			b.news = append(b.news, news{warning: true, reason: f.Reason, action: "Refresh " + e.Name, note: e.Name + ": " + f.Message, namespace: t.Namespace})
		}
	}
}

func (b *book) tellWrite(t credential.Target, out target.Outcome, before standing) {
	n := news{action: "Restore" + string(out.Wrote), namespace: t.Namespace}
	switch out.Wrote {
	case target.CauseMissing:
		n.reason, n.note = eventRepaired, "the Secret had been deleted and is restored"
		if !before.served() {
			n.reason, n.action, n.note = eventIssued, "Publish", "the Secret holds tokens for "+strings.Join(published(out), ", ")
		}
	case target.CauseEdited:
		n.reason, n.note = eventRepaired, "the Secret had been edited and is restored"
	case target.CauseRelabelled:
		n.reason, n.note = eventRepaired, "the Secret had lost the label "+v1alpha1.LabelSecret+" and is restored"
	case target.CauseOwnerChanged:
		n.reason, n.note = eventRepaired, "the Secret belongs to this credential again"
	case target.CausePolicyChanged:
		n.reason, n.action, n.note = eventUpdated, "Publish", "the Secret and its links go from now on when the credential is deleted, as spec.deletionPolicy says"
		if out.Retained {
			n.note = "the Secret and its links stay from now on when the credential is deleted, as spec.deletionPolicy says"
		}
	case target.CauseAdopted:
		n.reason, n.action, n.note = eventAdopted, "Adopt", "the Secret was handed over by its annotation "+v1alpha1.AnnotationAdopt
	case target.CauseTemplateEdited:
		n.reason, n.note = eventRepaired, "what spec.secretTemplate puts on the Secret had been changed and is restored"
	case target.CauseTemplateChanged:
		n.reason, n.action, n.note = eventUpdated, "Publish", "the Secret's labels and annotations follow spec.secretTemplate again"
	case target.CauseEntryRemoved:
		n.reason, n.action, n.note = eventUpdated, "Publish", "the Secret no longer holds tokens of removed entries"
	case target.CauseLapsed:
		n.warning, n.reason, n.action = true, eventLapsed, "Withdraw"
		n.note = "an expired token of a public registry is withdrawn, so that its images are pulled without a login until there is a new token"
	}
	if n.reason != "" {
		b.news = append(b.news, n)
	}
	b.tellTokens(out, before, n.reason == "")
}

// tellIgnored tells of a refresh request that counts for nothing.
func (b *book) tellIgnored(c *credential.Credential) {
	_, tooLong := c.RefreshRequest()
	if tooLong && !b.ignored {
		b.news = append(b.news, news{warning: true, reason: v1alpha1.ReasonInvalidRequest, action: "Refresh", note: fmt.Sprintf(
			"the annotation %s is longer than %d bytes, and is ignored: set it to the time", v1alpha1.AnnotationRefreshRequestedAt, credential.MaxRefreshRequest)})
	}
	b.ignored = tooLong
}

// tellTokens tells of each token once, however many targets receive it. The beginning and the end of an override are told even where the
// Secret had to be written for another reason.
func (b *book) tellTokens(out target.Outcome, before standing, tell bool) {
	for _, e := range out.Entries {
		last, known := b.latest[e.Name]
		this := toldToken{source: e.Record.Source, issuedAt: e.Record.IssuedAt}
		if !e.Fresh || known && last.source == this.source && !this.issuedAt.After(last.issuedAt) {
			continue
		}
		b.latest[e.Name] = this
		switch {
		case !e.OverrideUntil.IsZero():
			b.tellOverride(e)
		case !before.entry(e.Name).overrideUntil.IsZero() || e.WasOverridden:
			b.news = append(b.news, news{reason: eventOverrideEnded, action: "Refresh " + e.Name, note: fmt.Sprintf(
				"%s: the override is over, and the provider's token for %s is published again", e.Name, strings.Join(e.Record.Hosts, ", "))})
		case tell:
			b.tellToken(e, !known)
		}
	}
}

// legacy tells what stays of a credential that is gone.
func (b *book) legacy() []news {
	var left []news
	for namespace, s := range b.targets {
		if s.retained {
			left = append(left, news{reason: eventRetained, action: "Retain", namespace: namespace,
				note: "the Secret and its links stay as they are, and pods pull until its tokens expire; a credential of the same kind and name takes them up again"})
		}
	}
	return left
}

func (b *book) tellOverride(e *target.EntryState) {
	b.news = append(b.news, news{reason: eventOverridden, action: "Refresh " + e.Name, note: fmt.Sprintf(
		"%s: a login by hand is published for %s instead of the provider's token until %s", e.Name, strings.Join(e.Record.Hosts, ", "), e.OverrideUntil.Format(time.RFC3339))})
}

func (b *book) tellToken(e *target.EntryState, first bool) {
	why := map[target.Cause]string{
		target.CauseNew:              "is new",
		target.CauseSourceChanged:    "or its identity has changed",
		target.CauseRefreshRequested: "was asked to be refreshed",
		target.CauseRefused:          "was refused by its registry",
		target.CauseDue:              "was due",
	}[e.Cause]
	hosts := strings.Join(e.Record.Hosts, ", ")
	n := news{reason: eventRotated, action: "Refresh " + e.Name, note: fmt.Sprintf("%s %s: the new token for %s lives until %s",
		e.Name, why, hosts, e.Record.ExpiresAt.UTC().Format(time.RFC3339))}
	if e.Record.ExpiresAt.Equal(providers.Never) {
		n.note = fmt.Sprintf("%s %s: the credentials for %s are published", e.Name, why, hosts)
	}
	if first && e.Cause == target.CauseNew {
		n.reason = eventIssued
	}
	b.news = append(b.news, n)
}

func published(out target.Outcome) []string {
	var hosts []string
	for _, e := range out.Entries {
		if e.Published() {
			hosts = append(hosts, e.Record.Hosts...)
		}
	}
	return hosts
}

// recordNews makes one event, and one line in the log, of equal news.
func recordNews(ctx context.Context, recorder events.EventRecorder, c *credential.Credential, all []news) {
	namespaces := map[news][]string{}
	var order []news
	for _, n := range all {
		alike := n
		alike.namespace = ""
		if _, ok := namespaces[alike]; !ok {
			order = append(order, alike)
		}
		namespaces[alike] = append(namespaces[alike], n.namespace)
	}
	for _, n := range order {
		eventType := corev1.EventTypeNormal
		if n.warning {
			eventType = corev1.EventTypeWarning
		}
		note := credential.Truncate(where(c, namespaces[n]) + n.note)
		recorder.Eventf(c.Object, related(c, namespaces[n]), eventType, n.reason, n.action, "%s", note)
		log.FromContext(ctx).Info(n.reason, "action", n.action, "note", note)
	}
}

// related is the Secret that the news is about, if it is one.
func related(c *credential.Credential, namespaces []string) runtime.Object {
	if len(namespaces) != 1 || namespaces[0] == "" {
		return nil
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[0], Name: c.SecretName()},
	}
}

// where names the namespaces of news, for a credential that has many.
func where(c *credential.Credential, namespaces []string) string {
	namespaces = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(namespaces))), func(n string) bool { return n == "" })
	if c.Namespace != "" || len(namespaces) == 0 {
		return ""
	}
	return listed(namespaces[:min(len(namespaces), maxNamespaces)], len(namespaces)) + ": "
}

// listed names the first of so many namespaces.
func listed(first []string, all int) string {
	if all > len(first) {
		return fmt.Sprintf("%s and %d more", strings.Join(first, ", "), all-len(first))
	}
	return strings.Join(first, ", ")
}
