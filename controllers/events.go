package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	"github.com/regcred/regcred/api/v1alpha1"
)

// The reasons of events; a warning carries the reason of the failure.
const (
	eventIssued   = "Issued"
	eventRotated  = "Rotated"
	eventRepaired = "Repaired"
	eventUpdated  = "Updated"
	eventAdopted  = "Adopted"
)

// news is something that happened to a target and is worth an event. Equal news of many namespaces become one event.
type news struct {
	warning   bool
	reason    string
	note      string
	namespace string
}

// tell notes what is new in an outcome.
func (b *book) tell(t Target, out outcome, before standing) {
	if out.wrote != "" {
		b.tellWrite(t, out, before)
	}
	if f := out.failure; f != nil && (before.failure == nil || before.failure.reason != f.reason) {
		b.news = append(b.news, news{warning: true, reason: f.reason, note: f.message, namespace: t.Namespace})
	}
	for _, e := range out.entries {
		was := before.entries[e.name].failure
		if f := e.failure; f != nil && (was == nil || was.reason != f.reason) {
			b.news = append(b.news, news{warning: true, reason: f.reason, note: e.name + ": " + f.message, namespace: t.Namespace})
		}
	}
}

func (b *book) tellWrite(t Target, out outcome, before standing) {
	n := news{namespace: t.Namespace}
	switch out.wrote {
	case causeDeleted:
		n.reason, n.note = eventRepaired, "the Secret had been deleted and is restored"
		if !before.served() {
			n.reason, n.note = eventIssued, "the Secret holds tokens for "+strings.Join(published(out), ", ")
		}
	case causeEdited:
		n.reason, n.note = eventRepaired, "the Secret had been edited and is restored"
	case causeRelabelled:
		n.reason, n.note = eventRepaired, "the Secret had lost the label "+v1alpha1.LabelSecret+" and is restored"
	case causeOwnerChanged:
		n.reason, n.note = eventRepaired, "the Secret belongs to this credential again"
	case causeAdopted:
		n.reason, n.note = eventAdopted, "the Secret was handed over by its annotation "+v1alpha1.AnnotationAdopt
	case causeEntryRemoved:
		n.reason, n.note = eventUpdated, "the Secret no longer holds tokens of removed entries"
	}
	if n.reason != "" {
		b.news = append(b.news, n)
	}
	b.tellTokens(out, n.reason == "")
}

// tellTokens tells of each token once, however many targets receive it.
func (b *book) tellTokens(out outcome, tell bool) {
	for _, e := range out.entries {
		if !e.fresh || !e.record.ExpiresAt.After(b.expiries[e.name]) {
			continue
		}
		first := b.expiries[e.name].IsZero()
		b.expiries[e.name] = e.record.ExpiresAt
		if !tell {
			continue
		}
		why := map[cause]string{
			causeNew:              "is new",
			causeSourceChanged:    "or its identity has changed",
			causeRefreshRequested: "was asked to be refreshed",
			causeDue:              "has reached half of its life",
		}[e.cause]
		n := news{reason: eventRotated, note: fmt.Sprintf("%s %s: the new token for %s lives until %s",
			e.name, why, strings.Join(e.record.Hosts, ", "), e.record.ExpiresAt.UTC().Format(time.RFC3339))}
		if first && e.cause == causeNew {
			n.reason = eventIssued
		}
		b.news = append(b.news, n)
	}
}

func published(out outcome) []string {
	var hosts []string
	for _, e := range out.entries {
		if e.auth != "" {
			hosts = append(hosts, e.record.Hosts...)
		}
	}
	return hosts
}

// maxNote is what the API server takes for the note of an event.
const maxNote = 1024

// record makes one event of equal news.
func recordNews(recorder events.EventRecorder, c *credential, all []news) {
	type sort struct {
		warning      bool
		reason, note string
	}
	namespaces := map[sort][]string{}
	var order []sort
	for _, n := range all {
		s := sort{n.warning, n.reason, n.note}
		if _, ok := namespaces[s]; !ok {
			order = append(order, s)
		}
		namespaces[s] = append(namespaces[s], n.namespace)
	}
	for _, s := range order {
		eventType, action := corev1.EventTypeNormal, "Publish"
		if s.warning {
			eventType, action = corev1.EventTypeWarning, "Reconcile"
		}
		recorder.Eventf(c.object, nil, eventType, s.reason, action, "%s", truncate(where(c, namespaces[s])+s.note, maxNote))
	}
}

// where names the namespaces of news, for a credential that has many.
func where(c *credential, namespaces []string) string {
	namespaces = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(namespaces))), func(n string) bool { return n == "" })
	const named = 5
	switch n := len(namespaces); {
	case c.Namespace != "" || n == 0:
		return ""
	case n <= named:
		return strings.Join(namespaces, ", ") + ": "
	default:
		return fmt.Sprintf("%s and %d more: ", strings.Join(namespaces[:named], ", "), n-named)
	}
}

func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
