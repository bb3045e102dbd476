package controllers

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
	"github.com/regcred/regcred/providers"
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
	warning bool
	reason  string
	// action tells events of one reason apart: the API server's clients merge those that differ in their note alone.
	action    string
	note      string
	namespace string
}

// tell notes what is new in an outcome.
func (b *book) tell(t Target, out outcome, before standing) {
	if out.wrote != "" {
		b.tellWrite(t, out, before)
	}
	if f := out.failure; f != nil && (before.failure == nil || before.failure.reason != f.reason) {
		b.news = append(b.news, news{warning: true, reason: f.reason, action: "Publish", note: f.message, namespace: t.Namespace})
	}
	for _, e := range out.entries {
		was := before.entry(e.name).failure
		if f := e.failure; f != nil && (was == nil || was.reason != f.reason) {
			b.news = append(b.news, news{warning: true, reason: f.reason, action: "Refresh " + e.name, note: e.name + ": " + f.message, namespace: t.Namespace})
		}
	}
}

func (b *book) tellWrite(t Target, out outcome, before standing) {
	n := news{action: "Restore" + string(out.wrote), namespace: t.Namespace}
	switch out.wrote {
	case causeDeleted:
		n.reason, n.note = eventRepaired, "the Secret had been deleted and is restored"
		if !before.served() {
			n.reason, n.action, n.note = eventIssued, "Publish", "the Secret holds tokens for "+strings.Join(published(out), ", ")
		}
	case causeEdited:
		n.reason, n.note = eventRepaired, "the Secret had been edited and is restored"
	case causeRelabelled:
		n.reason, n.note = eventRepaired, "the Secret had lost the label "+v1alpha1.LabelSecret+" and is restored"
	case causeOwnerChanged:
		n.reason, n.note = eventRepaired, "the Secret belongs to this credential again"
	case causeAdopted:
		n.reason, n.action, n.note = eventAdopted, "Adopt", "the Secret was handed over by its annotation "+v1alpha1.AnnotationAdopt
	case causeEntryRemoved:
		n.reason, n.action, n.note = eventUpdated, "Publish", "the Secret no longer holds tokens of removed entries"
	}
	if n.reason != "" {
		b.news = append(b.news, n)
	}
	b.tellTokens(out, n.reason == "")
}

// tellTokens tells of each token once, however many targets receive it.
func (b *book) tellTokens(out outcome, tell bool) {
	for _, e := range out.entries {
		last, known := b.latest[e.name]
		this := token{source: e.record.Source, refresh: e.record.Refresh, refusedAt: e.record.RefusedAt}
		if !e.fresh || known && last.answers(this) && !e.record.ExpiresAt.After(last.expiresAt) {
			continue
		}
		first := !known
		this.expiresAt = e.record.ExpiresAt
		b.latest[e.name] = this
		if !tell {
			continue
		}
		why := map[cause]string{
			causeNew:              "is new",
			causeSourceChanged:    "or its identity has changed",
			causeRefreshRequested: "was asked to be refreshed",
			causeRefused:          "was refused by its registry",
			causeDue:              "has reached half of its life",
		}[e.cause]
		n := news{reason: eventRotated, action: "Refresh " + e.name, note: fmt.Sprintf("%s %s: the new token for %s lives until %s",
			e.name, why, strings.Join(e.record.Hosts, ", "), e.record.ExpiresAt.UTC().Format(time.RFC3339))}
		if e.record.ExpiresAt.Equal(providers.Never) {
			n.note = fmt.Sprintf("%s %s: the credentials for %s are published", e.name, why, strings.Join(e.record.Hosts, ", "))
		}
		if first && e.cause == causeNew {
			n.reason = eventIssued
		}
		b.news = append(b.news, n)
	}
}

func published(out outcome) []string {
	var hosts []string
	for _, e := range out.entries {
		if len(e.auths) > 0 {
			hosts = append(hosts, e.record.Hosts...)
		}
	}
	return hosts
}

// maxText is what the API server takes for the note of an event, and what our schema allows for a message in status.
const maxText = 1024

// recordNews makes one event, and one line in the log, of equal news.
func recordNews(ctx context.Context, recorder events.EventRecorder, c *credential, all []news) {
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
		note := truncate(where(c, namespaces[n]) + n.note)
		recorder.Eventf(c.object, related(c, namespaces[n]), eventType, n.reason, n.action, "%s", note)
		log.FromContext(ctx).Info(n.reason, "action", n.action, "note", note)
	}
}

// related is the Secret that the news is about, if it is one.
func related(c *credential, namespaces []string) runtime.Object {
	if len(namespaces) != 1 || namespaces[0] == "" {
		return nil
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[0], Name: c.Name},
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

func truncate(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText-len("…")], "") + "…"
}
